import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder, fillFolder, withLock } from './cache.js';
import { command, lastLines } from './command.js';
import { cudaLibraries } from './cuda.js';
import { type Found, libraries } from './find.js';
import { processor } from './machine.js';
import { step } from './progress.js';
import { Unavailable } from './unavailable.js';

const require = createRequire(import.meta.url);

/** The folder of the installed package `@tensorflow/tfjs-node-gpu`, which carries the binding's sources. */
export const nodePackage = (): string => dirname(require.resolve('@tensorflow/tfjs-node-gpu/package.json'));

/** This package's own sources: what loads the library without its greeting, and operations that it lacks. */
const sources = fileURLToPath(new URL('../native/', import.meta.url));

const flags = [
  '-O2',
  '-fPIC',
  '-w',
  '-std=c++17',
  '-DNAPI_VERSION=8',
  '-DNODE_GYP_MODULE_NAME=tfjs_binding',
  '-DBUILDING_NODE_EXTENSION',
];

// Arithmetic is compiled for this very processor, which is part of the binding's key.
const fast = ['-O3', '-fno-math-errno', '-march=native', '-pthread'];
const operationSources = ['operations', 'group-norm', 'adam'].map((unit) => join(sources, `${unit}.cc`));

/** What a compiled binding depends on: anything else may change and it stays good. */
export interface BindingParts {
  /** Version of `@tensorflow/tfjs-node-gpu`. */
  nodeGpu: string;
  /** The TensorFlow's folder and release. */
  folder: string;
  version: string;
  /** Sizes and times of the libraries in that folder: a release may be replaced in place. */
  stamps: readonly string[];
  platform: string;
  arch: string;
  /** What the processor can do. */
  processor: string;
  /** Hash of the sources. */
  sources: string;
  flags: readonly string[];
}

/** The name of a compiled binding in the cache: a hash of all that it depends on. */
export const bindingKey = (parts: BindingParts): string =>
  createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);

function partsOf(found: Found): BindingParts {
  const root = nodePackage();
  const hash = createHash('sha256');
  for (const name of readdirSync(join(root, 'binding')).sort()) hash.update(readFileSync(join(root, 'binding', name)));
  for (const name of readdirSync(sources).sort()) hash.update(readFileSync(join(sources, name)));
  return {
    nodeGpu: JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version,
    folder: found.folder,
    version: found.version,
    stamps: libraries.map((name) => {
      const { size, mtimeMs } = statSync(join(found.folder, name));
      return `${size} ${mtimeMs}`;
    }),
    platform: process.platform,
    arch: process.arch,
    processor: processor(),
    sources: hash.digest('hex'),
    flags: [...flags, ...fast],
  };
}

/** The file beside the binding that adds operations to the library. */
export const OPERATIONS = 'operations.node';

/** Where the binding for a TensorFlow lies, or will lie once it is compiled. */
export function bindingFile(found: Found, env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheFolder(env), `binding-${bindingKey(partsOf(found))}`, 'tfjs_binding.node');
}

/**
 * The first C++ compiler there is: CXX, g++, clang++.
 * @throws Unavailable when none can be run.
 */
export async function compiler(env: NodeJS.ProcessEnv = process.env): Promise<{ program: string; version: string }> {
  const programs = env.CXX ? [env.CXX] : ['g++', 'clang++'];
  for (const program of programs) {
    const { code, out } = await command(program, ['--version'], env);
    if (code === 0) return { program, version: out.split('\n')[0] ?? '' };
  }
  throw new Unavailable(
    env.CXX
      ? `the C++ compiler that CXX names, ${env.CXX}, cannot be run`
      : 'no C++ compiler: install g++ (or clang++), or name one by CXX',
  );
}

/**
 * Compiles the binding's sources against a TensorFlow, unless the cache has it; returns the binding's file.
 * @throws Unavailable when there is no compiler or it fails.
 */
export async function compileBinding(found: Found, force = false, env = process.env): Promise<string> {
  const file = bindingFile(found, env);
  if (existsSync(file) && !force) return file;
  return withLock(`${dirname(file)}.lock`, async () => {
    if (existsSync(file) && !force) return file;
    const { program } = await compiler(env);
    await step('compile the TensorFlow binding', () =>
      fillFolder(dirname(file), (folder) => build(program, found, folder, env), force),
    );
    return file;
  });
}

async function build(program: string, found: Found, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const root = nodePackage();
  const headers: string = require('node-api-headers').include_dir;
  const includes = [`-I${headers}`, `-I${root}`, `-I${join(found.folder, 'include')}`];
  const run = async (args: string[]) => {
    const { code, err } = await command(program, args, env);
    if (code !== 0) throw new Unavailable(`${program} could not build the binding: ${lastLines(err, 3)}`);
  };
  const units = ['tfjs_backend', 'tfjs_binding'];
  const object = (unit: string) => join(folder, `${unit}.o`);
  const link = join(found.folder, libraries[1]);
  const framework = `-DLOGSNR_FRAMEWORK=${JSON.stringify(link)}`;
  await Promise.all([
    ...units.map((unit) => run([...flags, ...includes, '-c', join(root, 'binding', `${unit}.cc`), '-o', object(unit)])),
    run([
      ...flags,
      ...includes,
      framework,
      '-shared',
      join(sources, 'quiet.cc'),
      '-ldl',
      '-o',
      join(folder, 'quiet.node'),
    ]),
    run([...flags, ...fast, ...includes, '-shared', ...operationSources, link, '-o', join(folder, OPERATIONS)]).catch(
      // Nothing depends on them: what they compute is then composed of the library's own operations.
      (error: Error) => process.stderr.write(`without fused operations: ${error.message}\n`),
    ),
  ]);
  // The CUDA libraries are loaded with the binding, so that TensorFlow's own search by name finds them loaded.
  const cuda = cudaLibraries(found);
  const paths = [found.folder, ...new Set(cuda.map((file) => dirname(file)))];
  await run([
    '-shared',
    ...units.map(object),
    '-Wl,--no-as-needed',
    '-Wl,--allow-shlib-undefined',
    ...libraries.map((name) => join(found.folder, name)),
    ...cuda,
    ...paths.map((path) => `-Wl,-rpath,${path}`),
    '-o',
    join(folder, 'tfjs_binding.node'),
  ]);
  for (const unit of units) rmSync(object(unit), { force: true });
  if (!existsSync(join(folder, 'tfjs_binding.node'))) throw new Unavailable(`${program} ran but built no binding`);
}
