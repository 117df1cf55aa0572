import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import fs, {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { cacheFolder } from '@logsnr/io/node';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { endOwner, type Fault, memoryFolder, withFault } from '../../../test/fs-faults.js';
import { checkCache, collectLeftOvers, markUsed, provide } from './cache.js';
import { contentsHash, faultOf, whyUntrusted } from './entry.js';
import { tensorflowVersion } from './plan.js';
import { Unavailable } from './unavailable.js';

let cache: string;
let entry: string;
let lines: string;
beforeEach(() => {
  cache = join(mkdtempSync(join(memoryFolder, 'logsnr-cache-')), 'cache');
  entry = join(cache, 'binding-1');
  lines = '';
  vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    lines += text;
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  rmSync(resolve(cache, '..'), { recursive: true });
});

const write = (text: string) => async (folder: string) => {
  mkdirSync(join(folder, 'lib'));
  writeFileSync(join(folder, 'lib', 'a.so.2'), text);
  writeFileSync(join(folder, 'a.h'), text);
};
const content = () => readFileSync(join(entry, 'lib', 'a.so.2'), 'utf8');
const pipe = (path: string) => {
  rmSync(path);
  execFileSync('mkfifo', [path]);
};
const list = (...names: string[]) => {
  const files = names.map((name) => [name, JSON.parse(readFileSync(join(entry, 'manifest.json'), 'utf8'))['a.h']]);
  writeFileSync(join(entry, 'manifest.json'), JSON.stringify(Object.fromEntries(files)));
};
const needs = ['lib/a.so.2'];
const never = () => Promise.reject(new Error('it was to be filled'));

test('LOGSNR_CACHE names the cache folder; without it, it is a folder of the user', () => {
  expect(cacheFolder({ LOGSNR_CACHE: 'here' })).toBe(resolve('here'));
  expect(cacheFolder({})).toContain('logsnr');
});

test('an entry appears whole or not at all, and a failure leaves nothing', async () => {
  await provide(entry, needs, async (folder) => {
    await write('1')(folder);
    expect(existsSync(entry)).toBe(false);
  });
  expect(content()).toBe('1');
  await provide(entry, needs, never);
  const broken = provide(join(cache, 'binding-2'), needs, async (folder) => {
    await write('2')(folder);
    throw new Error('ended half-way');
  });
  await expect(broken).rejects.toThrow('ended half-way');
  expect(readdirSync(cache)).toEqual(['binding-1']);
});

test('of several at once one fills the entry, and no two fill entries of one cache at a time', async () => {
  let [inside, most, calls] = [0, 0, 0];
  const fill = async (folder: string) => {
    most = Math.max(most, ++inside);
    calls++;
    await sleep(20);
    await write('1')(folder);
    inside--;
  };
  await Promise.all([
    provide(entry, needs, fill),
    provide(entry, needs, fill),
    provide(join(cache, 'binding-2'), needs, fill),
  ]);
  expect([most, calls]).toEqual([1, 2]);
  expect(readdirSync(cache).sort()).toEqual(['binding-1', 'binding-2']);
});

test('the cache is made for its user alone, and nothing in it can be written by others, whatever the umask', async () => {
  const before = process.umask(0);
  try {
    await provide(entry, needs, write('1'));
  } finally {
    process.umask(before);
  }
  expect(statSync(cache).mode & 0o777).toBe(0o700);
  for (const name of ['.', ...(readdirSync(entry, { recursive: true }) as string[])])
    expect([name, statSync(join(entry, name)).mode & 0o022]).toEqual([name, 0]);
});

test('each damage of an entry is found: at every load where it can end the process, in full where it is asked for', async () => {
  const library = join(entry, 'lib', 'a.so.2');
  const damages: [string, RegExp, both: boolean, () => void][] = [
    ['cut short', /a\.so\.2 is damaged: it has 1 bytes, and 3 were installed/, true, () => writeFileSync(library, '1')],
    ['other bytes', /a\.so\.2 is damaged: its bytes are not/, true, () => writeFileSync(library, '132')],
    ['no library', /a\.so\.2 is missing/, true, () => rmSync(library)],
    ['other bytes of a header', /a\.h is damaged: its bytes/, false, () => writeFileSync(join(entry, 'a.h'), '132')],
    ['no manifest', /manifest\.json.* missing or damaged/, true, () => rmSync(join(entry, 'manifest.json'))],
    [
      'an empty manifest',
      /manifest\.json does not list lib/,
      true,
      () => writeFileSync(join(entry, 'manifest.json'), '{}'),
    ],
    ['a manifest of headers', /manifest\.json does not list lib\/a\.so\.2/, true, () => list('a.h')],
    ['a manifest of paths elsewhere', /manifest\.json.* missing or damaged/, true, () => list('../a.h', 'lib/a.so.2')],
    ['half a manifest', /manifest\.json.* missing/, true, () => writeFileSync(join(entry, 'manifest.json'), '{"a.h":')],
    ['a pipe as manifest', /manifest\.json.* missing/, true, () => pipe(join(entry, 'manifest.json'))],
    ['writable', /a\.so\.2 can be written by other users/, true, () => chmodSync(library, 0o646)],
    ['writable folder', /lib can be written by other users/, true, () => chmodSync(join(entry, 'lib'), 0o757)],
  ];
  for (const [name, message, both, damage] of damages) {
    await provide(entry, needs, write('123'));
    expect([await faultOf(entry, needs, false), await faultOf(entry, needs, true)]).toEqual([undefined, undefined]);
    damage();
    expect(await faultOf(entry, needs, true), name).toMatch(message);
    if (both) expect(await faultOf(entry, needs, false), name).toMatch(message);
    await provide(entry, needs, write('123'));
    expect(lines).toMatch(/; it is made anew\n$/);
    lines = '';
  }
});

test('an entry without a manifest is kept where its bytes are the expected ones, and made anew where they are not', async () => {
  await provide(entry, needs, write('123'));
  const manifest = join(entry, 'manifest.json');
  const contents = contentsHash(JSON.parse(readFileSync(manifest, 'utf8')));
  rmSync(manifest);
  await provide(entry, needs, never, { contents });
  expect(await faultOf(entry, needs, true)).toBeUndefined();
  rmSync(manifest);
  writeFileSync(join(entry, 'a.h'), '132');
  await provide(entry, needs, write('456'), { contents });
  expect(content()).toBe('456');
});

test('a cache that other users can write or replace is refused with what to do', async () => {
  await provide(entry, needs, write('1'));
  chmodSync(cache, 0o777);
  expect(() => checkCache(cache)).toThrow(/cache can be written by other users; run "chmod -R go-w .*LOGSNR_CACHE/);
  await expect(provide(entry, needs, never)).rejects.toThrow(Unavailable);
  chmodSync(cache, 0o755);
  checkCache(cache);
  chmodSync(resolve(cache, '..'), 0o777);
  expect(() => checkCache(cache)).toThrow(/every user can replace it/);
  chmodSync(resolve(cache, '..'), 0o1777);
  checkCache(cache);
});

test('whose a path is, and who may write it, decides whether code is loaded from it', () => {
  const stats = statSync(process.execPath);
  vi.spyOn(process, 'getuid').mockReturnValue(1000);
  const refused = (uid: number, gid: number, mode: number) => {
    vi.spyOn(fs, 'statSync').mockReturnValue(Object.assign(Object.create(stats), { uid, gid, mode }));
    syncBuiltinESMExports();
    return whyUntrusted('it')?.why;
  };
  try {
    for (const owner of [0, 1000]) expect(refused(owner, 100, 0o755)).toBeUndefined();
    expect(refused(1000, 1000, 0o775)).toBeUndefined();
    for (const [uid, gid, mode] of [
      [1000, 100, 0o775],
      [1000, 1000, 0o757],
      [0, 0, 0o775],
    ] as const)
      expect(refused(uid, gid, mode)).toBe('it can be written by other users');
    expect(refused(12345, 1000, 0o700)).toBe('it belongs to another user (number 12345)');
  } finally {
    vi.restoreAllMocks();
    syncBuiltinESMExports();
  }
});

test('what killed processes left is collected, and nothing else', async () => {
  await provide(entry, needs, write('1'));
  mkdirSync(`${entry}.1234.abcd.part`);
  mkdirSync(join(cache, 'tensorflow-1.wheel'));
  writeFileSync(join(cache, 'tensorflow-1.lock'), '');
  writeFileSync(join(cache, 'mine.part'), '');
  await collectLeftOvers(cache);
  expect(readdirSync(cache).sort()).toEqual(['binding-1', 'mine.part']);
});

test('with a new entry go those that no version has used for a month, and no others', async () => {
  const own = `tensorflow-${tensorflowVersion}-cuda-x64`;
  const days = {
    ...{ 'binding-unused': 31, 'tensorflow-2.16.0-cpu-x64': 31, 'binding-loaded': 31, 'binding-marked': 31 },
    ...{ 'binding-young': 29, [own]: 31 },
  };
  for (const name of Object.keys(days)) await provide(join(cache, name), needs, write('1'));
  for (const [name, age] of Object.entries(days)) {
    const then = Date.now() / 1000 - 86_400 * age;
    for (const file of ['.', ...(readdirSync(join(cache, name), { recursive: true }) as string[])])
      utimesSync(join(cache, name, file), then, then);
  }
  mkdirSync(join(cache, 'mine'));
  utimesSync(join(cache, 'mine'), 0, 0);
  // Other versions mark nothing, but the system notes when a file was read.
  const loaded = join(cache, 'binding-loaded', 'lib', 'a.so.2');
  utimesSync(loaded, Date.now() / 1000, statSync(loaded).mtimeMs / 1000);
  await markUsed(join(cache, 'binding-marked'));
  await provide(entry, needs, write('1'));
  expect(readdirSync(cache).sort()).toEqual([
    'binding-1',
    'binding-loaded',
    'binding-marked',
    'binding-young',
    'mine',
    own,
  ]);
});

test('a lock whose process was killed while it filled an entry is taken over, and its part goes', async () => {
  await provide(entry, needs, write('1'));
  const program = `
    (await import('tsx/esm/api')).register();
    const { provide } = await import(${JSON.stringify(new URL('./cache.ts', import.meta.url).href)});
    await provide(${JSON.stringify(entry)}, [], async () => {
      console.log('filling');
      await new Promise(() => setInterval(() => {}, 1000));
    }, { force: true });`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  expect(readdirSync(cache).sort()).toEqual(['binding-1', 'binding-1.part', 'lock']);
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(content()).toBe('1');
  await provide(entry, needs, write('2'), { force: true });
  expect(content()).toBe('2');
  expect(readdirSync(cache)).toEqual(['binding-1']);
});

test('the disk has every file of an entry, and the manifest, before the entry gets its name', async () => {
  const { operations } = await withFault(cache, -1, 'EIO', () => provide(entry, needs, write('1')));
  const named = operations.indexOf(`rename ${entry}.part`);
  for (const name of ['a.h', 'lib', 'lib/a.so.2', '.'])
    expect(operations.lastIndexOf(`sync ${join(`${entry}.part`, name)}`, named), name).toBeGreaterThan(0);
  expect(operations.findIndex((one) => /^sync .*\.part\/manifest\.json/.test(one))).toBeGreaterThan(0);
  expect(operations.lastIndexOf(`sync ${cache}`)).toBeGreaterThan(named);
});

test.each([
  ['fails once', ['EIO', 'ENOSPC', 'EACCES']],
  ['is the last of a killed process', ['kill']],
] as const)('every file operation in turn %s: nothing older is lost, and the next one goes on', async (_, faults) => {
  for (const older of [undefined, '1']) {
    let at = 0;
    for (let met = true; met; at++) {
      rmSync(cache, { recursive: true, force: true });
      if (older) await provide(entry, needs, write(older));
      const fault = faults[at % faults.length] as Fault;
      const { operations, error } = await withFault(cache, at, fault, () =>
        provide(entry, needs, write('2'), { force: true }),
      );
      met = operations.length > at;
      const where = `operation ${at}: ${error?.message}`;
      // The process ends after it.
      endOwner(join(cache, 'lock'));
      // Whoever only looks finds the older one or the newer one, whole, unless another is killed as it replaces it.
      if (older && fault !== 'kill') expect(await faultOf(entry, needs, true), where).toBeUndefined();
      if (older) {
        await provide(entry, needs, never);
        expect(['1', '2'], where).toContain(content());
      }
      await provide(entry, needs, write('2'), { force: true });
      expect(content(), where).toBe('2');
      // What a lock left goes when its process is gone, and this one is not.
      expect(
        readdirSync(cache).filter((name) => !name.startsWith('lock.')),
        where,
      ).toEqual(['binding-1']);
      expect(existsSync(join(entry, 'manifest.json')), where).toBe(true);
    }
    expect(at).toBeGreaterThan(40);
  }
});
