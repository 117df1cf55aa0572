import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { endOwner, type Fault, memoryFolder, withFault } from '../../../test/fs-faults.js';
import { compileBinding } from './binding.js';
import { faultOf } from './entry.js';
import { fetchRelease } from './fetch.js';
import type { Wheel } from './plan.js';
import { Unavailable } from './unavailable.js';

// A wheel of a few bytes, and a Python whose pip copies it instead of fetching one.
const makeWheel = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as z:
    for n in ('libtensorflow_cc.so.2', 'libtensorflow_framework.so.2', 'include/tensorflow/c/eager/c_api.h',
              'include/tensorflow/c/c_api.h', 'include/Eigen/Core.h', 'python/__init__.py'):
        z.writestr('tensorflow/' + n, n)
`;

let folder: string;
let env: NodeJS.ProcessEnv;
let wheel: Wheel;

/** A stand-in for Python whose \`-m pip\` runs the given shell commands; anything else goes to the real one. */
function stubPython(pip: string): void {
  const file = join(folder, 'python');
  writeFileSync(
    file,
    `#!/bin/sh\ncase "$*" in -I\\ -m\\ pip*) ;; *) exec python3 "$@";; esac\nwhile [ "$1" != -d ]; do shift; done\n${pip}\n`,
  );
  chmodSync(file, 0o755);
}

beforeEach(() => {
  vi.spyOn(process.stderr, 'write').mockReturnValue(true);
  folder = mkdtempSync(join(memoryFolder, 'logsnr-fetch-'));
  const file = join(folder, 'small.whl');
  execFileSync('python3', ['-c', makeWheel, file]);
  const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
  wheel = { name: 'tensorflow-cpu', version: '2.21.0', platforms: [], sha256, megabytes: 0, device: 'cpu' };
  env = { ...process.env, LOGSNR_CACHE: join(folder, 'cache'), LOGSNR_PYTHON: join(folder, 'python') };
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(folder, { recursive: true });
});

test('the libraries and the C headers are unpacked, nothing else, and a second call fetches nothing', async () => {
  stubPython(`echo x >> ${folder}/calls; cp ${folder}/small.whl "$2"`);
  const found = await fetchRelease(wheel, false, env);
  expect(found).toMatchObject({ version: '2.21.0', device: 'cpu', source: 'cache' });
  expect(readdirSync(found.folder).sort()).toEqual([
    'include',
    'libtensorflow_cc.so.2',
    'libtensorflow_framework.so.2',
  ]);
  expect(readdirSync(join(found.folder, 'include'))).toEqual(['tensorflow']);
  expect(await fetchRelease(wheel, false, env)).toEqual(found);
  expect(readFileSync(join(folder, 'calls'), 'utf8')).toBe('x\n');
});

test('two at once fetch once', async () => {
  stubPython(`echo x >> ${folder}/calls; sleep 0.3; cp ${folder}/small.whl "$2"`);
  await Promise.all([fetchRelease(wheel, false, env), fetchRelease(wheel, false, env)]);
  expect(readFileSync(join(folder, 'calls'), 'utf8')).toBe('x\n');
});

test('a wheel whose bytes are not the pinned ones is refused, and nothing of it stays', async () => {
  stubPython(`echo other > "$2/small.whl"`);
  await expect(fetchRelease(wheel, false, env)).rejects.toThrow(/is pinned, so it is not used/);
  expect(readdirSync(join(folder, 'cache'))).toEqual([]);
});

test('pip takes no module from the folder where the program stands', async () => {
  const here = process.cwd();
  mkdirSync(join(folder, 'pip'));
  for (const name of ['pip/__init__.py', 'pip/__main__.py', 'csv.py', 'zipfile.py'])
    writeFileSync(join(folder, name), `open(${JSON.stringify(join(folder, 'ran'))}, 'w')`);
  try {
    process.chdir(folder);
    const failed = fetchRelease(wheel, false, { ...env, LOGSNR_PYTHON: 'python3', PIP_NO_INDEX: '1' });
    await expect(failed).rejects.toThrow(/^pip could not fetch|has no pip/);
  } finally {
    process.chdir(here);
  }
  expect(existsSync(join(folder, 'ran'))).toBe(false);
});

test('a connection that breaks off is tried once more; another failure is reported in one line', async () => {
  stubPython(`[ -e ${folder}/tried ] || { touch ${folder}/tried; echo 'Connection reset' >&2; exit 1; }
cp ${folder}/small.whl "$2"`);
  await fetchRelease(wheel, false, env);
  stubPython(`echo 'first line' >&2; echo 'No space left on device' >&2; exit 1`);
  const failed = fetchRelease(wheel, true, env);
  await expect(failed).rejects.toThrow(Unavailable);
  await expect(failed).rejects.toThrow(/^pip could not fetch TensorFlow: first line No space left on device$/);
});

test('a Python without pip, and none at all, are said to be missing', async () => {
  stubPython(`echo "python: No module named pip" >&2; exit 1`);
  await expect(fetchRelease(wheel, false, env)).rejects.toThrow(/has no pip/);
  await expect(fetchRelease(wheel, false, { ...env, LOGSNR_PYTHON: '/nowhere/python' })).rejects.toThrow(
    '/nowhere/python was not found',
  );
});

test('every file operation of fetching and of compiling fails once, and what was there stays usable', async () => {
  // A Python that unpacks what lies there, and a compiler that makes empty files.
  const [tree, python, compiler] = ['tree', 'python', 'compiler'].map((name) => join(folder, name));
  mkdirSync(`${tree}/tensorflow/include/tensorflow/c/eager`, { recursive: true });
  for (const name of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2', 'include/tensorflow/c/eager/c_api.h'])
    writeFileSync(`${tree}/tensorflow/${name}`, name);
  const unpacks = `#!/bin/sh\n[ "$2" != -c ] || exec cp -r ${tree}/tensorflow "$5"\n`;
  const fetches = `while [ "$1" != -d ]; do shift; done\ncp ${folder}/small.whl "$2"\n`;
  writeFileSync(`${python}`, unpacks + fetches, { mode: 0o755 });
  const compiles = '#!/bin/sh\nwhile [ $# -gt 1 ] && [ "$1" != -o ]; do shift; done\n[ $# -lt 2 ] || : > "$2"\n';
  writeFileSync(`${compiler}`, compiles, { mode: 0o755 });
  const stubs = { ...env, CXX: `${compiler}` };
  const cache = join(folder, 'cache');
  const found = await fetchRelease(wheel, false, stubs);
  const binding = await compileBinding(found, false, stubs);
  // Those of every entry, such as its renaming, fail in a test of the cache.
  for (const [entry, own, work] of [
    [dirname(binding), 'tfjs_', () => compileBinding(found, true, stubs)],
    [dirname(found.folder), 'wheel', () => fetchRelease(wheel, true, stubs)],
  ] as const) {
    let at = 0;
    for (let met = true; met; at++) {
      const fault = (['EIO', 'ENOSPC', 'EACCES'] as const)[at % 3] as Fault;
      const { operations, error } = await withFault(join(`${entry}.part`, own), at, fault, work);
      met = operations.length > at;
      endOwner(join(cache, 'lock'));
      expect(await faultOf(entry, [], true), `operation ${at}: ${error?.message}`).toBeUndefined();
    }
    expect(at).toBeGreaterThan(5);
    await work();
    expect(readdirSync(cache).filter((name) => /part|old/.test(name))).toEqual([]);
  }
});
