import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { command, pythonProgram } from '@logsnr/io/node';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type BindingParts, bindingFile, bindingKey, compileBinding, compiler, linking } from './binding.js';
import { cudaLibraries } from './cuda.js';
import { type Found, findTensorflow, inFolder, inPython } from './find.js';
import { Unavailable } from './unavailable.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-binding-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (...names: string[]) => {
  for (const name of names) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), name);
  }
};
const library = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2', 'include/tensorflow/c/eager/c_api.h'];

test('the key of a binding changes with each thing it depends on', () => {
  const parts: BindingParts = {
    nodeGpu: '4.22.0',
    folder: '/a',
    version: '2.21.0',
    stamps: ['1 1', '2 2'],
    platform: 'linux',
    arch: 'x64',
    processor: 'avx',
    sources: 'ff',
    flags: ['-O2'],
  };
  const others: Partial<BindingParts>[] = [
    { nodeGpu: '4.23.0' },
    { folder: '/b' },
    { version: '2.20.0' },
    { stamps: ['1 1', '2 3'] },
    { platform: 'darwin' },
    { arch: 'arm64' },
    { processor: 'avx512f' },
    { sources: 'fe' },
    { flags: ['-O3'] },
  ];
  expect(bindingKey({ ...parts })).toBe(bindingKey(parts));
  const keys = [parts, ...others.map((other) => ({ ...parts, ...other }))].map(bindingKey);
  expect(new Set(keys).size).toBe(Object.keys(parts).length + 1);
});

test('a library replaced in place gets a binding of its own', () => {
  put(...library);
  const found: Found = { folder, version: '2.21.0', device: 'cpu', source: 'folder' };
  const before = bindingFile(found, { LOGSNR_CACHE: folder });
  writeFileSync(join(folder, library[0] as string), 'a newer one');
  expect(bindingFile(found, { LOGSNR_CACHE: folder })).not.toBe(before);
});

test('without a compiler, and with one that fails, the reason is one line', async () => {
  await expect(compiler({ PATH: '/nowhere' })).rejects.toThrow('no C++ compiler: install g++ (or clang++)');
  await expect(compiler({ ...process.env, CXX: '/nowhere/c++' })).rejects.toThrow('that CXX names, /nowhere/c++');
  put(...library);
  const found: Found = { folder, version: '2.21.0', device: 'cpu', source: 'folder' };
  const failed = compileBinding(found, false, { ...process.env, CXX: 'true', LOGSNR_CACHE: join(folder, 'cache') });
  // A compiler that does nothing leaves no objects behind; that must not pass for a binding.
  await expect(failed).rejects.toThrow(Unavailable);
});

test('a folder without the libraries is refused with what it lacks', async () => {
  put('libtensorflow_cc.so.2');
  expect(() => inFolder(folder)).toThrow(/lacks libtensorflow_framework.so.2, include\/tensorflow\/c\/eager\/c_api.h;/);
  await expect(findTensorflow('cpu', undefined, { LOGSNR_TENSORFLOW: folder })).rejects.toThrow(Unavailable);
});

test('a folder that is whole is taken, with the release that its neighbour names and what it was built for', () => {
  put(...library.map((name) => `tensorflow/${name}`), 'tensorflow_cpu-2.19.1.dist-info/METADATA');
  const of = () => inFolder(join(folder, 'tensorflow'));
  expect(of()).toMatchObject({ version: '2.19.1', device: 'unknown', source: 'folder' });
  put('tensorflow/python/platform/build_info.py');
  writeFileSync(join(folder, 'tensorflow/python/platform/build_info.py'), "x = [('is_cuda_build', True)]");
  expect(of().device).toBe('cuda');
});

test('the Python that is asked: the one named, else the active environment, else python3', async () => {
  expect(pythonProgram({ LOGSNR_PYTHON: 'p', VIRTUAL_ENV: '/v' })).toBe('p');
  expect(pythonProgram({ VIRTUAL_ENV: '/v' })).toBe('/v/bin/python3');
  expect(pythonProgram({})).toBe('python3');
  expect(await inPython({ LOGSNR_PYTHON: '/nowhere/python' })).toBe('/nowhere/python was not found');
});

test('a TensorFlow in a Python environment is found unless it is too old', async () => {
  put(
    ...library.map((name) => `tensorflow/${name}`),
    'tensorflow/__init__.py',
    'tensorflow_io-3.0.0.dist-info/METADATA',
  );
  const env = { ...process.env, PYTHONPATH: `:${folder}` };
  put('tensorflow-2.18.0.dist-info/METADATA');
  const found = { version: '2.18.0', folder: join(folder, 'tensorflow'), source: 'python' };
  expect(await inPython(env)).toMatchObject(found);
  renameSync(join(folder, 'tensorflow-2.18.0.dist-info'), join(folder, 'tensorflow-2.15.1+nv1.dist-info'));
  expect(await inPython(env)).toContain('has tensorflow 2.15.1; 2.16 or newer is needed');
});

test('Python runs and finds nothing in the folder where the program stands', async () => {
  const here = process.cwd();
  put(...library.map((name) => `tensorflow/${name}`));
  const ran = `open(${JSON.stringify(join(folder, 'ran'))}, 'w')`;
  for (const name of ['csv.py', 'email.py', 'site.py', 'sitecustomize.py', 'tensorflow/__init__.py'])
    writeFileSync(join(folder, name), ran);
  try {
    process.chdir(folder);
    for (const PYTHONPATH of [undefined, '', '.', ':'])
      expect(await inPython({ ...process.env, PYTHONPATH })).not.toMatchObject({ folder: join(folder, 'tensorflow') });
    await inPython({ ...process.env, PYTHONPATH: folder });
  } finally {
    process.chdir(here);
  }
  expect(existsSync(join(folder, 'ran'))).toBe(false);
});

test('a program starts in the root folder, and one that ends badly is said to have', async () => {
  expect((await command('pwd', [])).out).toBe('/\n');
  expect(await command('sh', ['-c', 'kill -BUS $$'])).toMatchObject({ code: null, fault: 'was ended by SIGBUS' });
  expect(await command('sh', ['-c', 'cat; exit 3'])).toMatchObject({ code: 3, fault: '' });
  expect((await command('/dev/null', [])).fault).toBe('cannot be run (EACCES)');
});

test('a Python that hangs is given up, also where what it has started goes on', async () => {
  const python = join(folder, 'python');
  writeFileSync(python, '#!/bin/sh\nsleep 30\n', { mode: 0o755 });
  expect(await inPython({ ...process.env, LOGSNR_PYTHON: python }, 0.2)).toBe(`${python} did not end within 0.2 s`);
});

test('a Python that prints without end is given up, and the message names it', async () => {
  const python = join(folder, 'python');
  writeFileSync(python, '#!/bin/sh\nexec head -c 100000000 /dev/zero\n', { mode: 0o755 });
  expect(await inPython({ ...process.env, LOGSNR_PYTHON: python })).toBe(`${python} printed more than 16 MiB`);
});

test('a binding finds libraries beside it in a cache whose path has commas, colons and spaces', async () => {
  const [cache, env] = [join(folder, 'a,b:c d'), { env: process.env }];
  const found: Found = { folder: join(cache, 'release', 'tensorflow'), version: '1', device: 'cpu', source: 'cache' };
  mkdirSync(found.folder, { recursive: true });
  mkdirSync(join(cache, 'binding'));
  const { program } = await compiler();
  const library = (name: string, ...more: string[]) => [
    ...more,
    '-shared',
    '-x',
    'c',
    '/dev/null',
    `-Wl,-soname,${name}`,
    '-o',
  ];
  for (const name of ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'])
    expect((await command(program, [...library(name), join(found.folder, name)], env)).err).toBe('');
  const output = join(cache, 'binding', 'a.node');
  const args = ['-shared', '-x', 'c', '/dev/null', '-x', 'none', ...linking(found, dirname(output)), '-o', output];
  expect((await command(program, args, env)).err).toBe('');
  // It has no entry for Node, so Node refuses it, but only once the loader has found its libraries.
  const { err } = await command(process.execPath, ['-e', `require(${JSON.stringify(output)})`], env);
  expect(err).toContain('Module did not self-register');
  const elsewhere = () => linking({ ...found, source: 'python' }, dirname(output));
  expect(elsewhere).toThrow(/has a colon in its name/);
});

test('the CUDA libraries beside a TensorFlow are found, one file of each, and only for one built for them', () => {
  put(
    'nvidia/cudnn/lib/libcudnn.so.9',
    'nvidia/cudnn/lib/libcudnn_ops.so.9',
    'nvidia/cublas/lib/libcublasLt.so.12',
    'nvidia/cublas/include/cublas.h',
  );
  const found: Found = { folder: join(folder, 'tensorflow'), version: '2.21.0', device: 'cuda', source: 'cache' };
  expect(cudaLibraries(found).sort()).toEqual([
    join(folder, 'nvidia/cublas/lib/libcublasLt.so.12'),
    join(folder, 'nvidia/cudnn/lib/libcudnn.so.9'),
  ]);
  expect(cudaLibraries({ ...found, device: 'cpu' })).toEqual([]);
});
