import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder, command, lastLines, placed, say, step } from '@logsnr/io/node';
import { provide } from './cache.js';
import { cudaLibraries } from './cuda.js';
import { faultOf } from './entry.js';
import { type Found, libraries } from './find.js';
import { processor } from './machine.js';
import { Unavailable } from './unavailable.js';

const require = createRequire(import.meta.url);

/** What `stock/tsup.config.ts` took from `@tensorflow/tfjs-node-gpu`: its backend, and the binding's sources. */
export const stock: string = fileURLToPath(new URL('../stock/out/', import.meta.url));

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

const linkFlags = ['--no-as-needed', '--allow-shlib-undefined'].flatMap((flag) => ['-Xlinker', flag]);

// Arithmetic is compiled for this very processor, which is part of the binding's key.
const fast = ['-O3', '-fno-math-errno', '-march=native', '-pthread'];
const operationSources = ['operations', 'group-norm', 'adam', 'convolution', 'linear', 'attention'].map((unit) =>
  join(sources, `${unit}.cc`),
);

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
  const hash = createHash('sha256');
  const binding = join(stock, 'binding');
  for (const name of readdirSync(binding).sort()) hash.update(readFileSync(join(binding, name)));
  for (const name of readdirSync(sources).sort()) hash.update(readFileSync(join(sources, name)));
  return {
    nodeGpu: JSON.parse(readFileSync(join(stock, 'origin.json'), 'utf8')).version,
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
    flags: [...flags, ...fast, ...linkFlags],
  };
}

/** The file beside the binding that adds operations to the library. */
export const OPERATIONS = 'operations.node';
const BINDING = 'tfjs_binding.node';
/** The file beside the binding that loads the library. */
export const QUIET = 'quiet.node';
const needs = [BINDING, QUIET];

/** Where the binding for a TensorFlow lies, or will lie once it is compiled. */
export function bindingFile(found: Found, env: NodeJS.ProcessEnv = process.env): string {
  return join(cacheFolder(env), `binding-${bindingKey(partsOf(found))}`, BINDING);
}

/**
 * The first C++ compiler there is: CXX, g++, clang++.
 * @throws Unavailable when none can be run.
 */
export async function compiler(env: NodeJS.ProcessEnv = process.env): Promise<{ program: string; version: string }> {
  const programs = env.CXX ? [placed(env.CXX)] : ['g++', 'clang++'];
  for (const program of programs) {
    const { code, out } = await command(program, ['--version'], { env });
    if (code === 0) return { program, version: out.split('\n')[0] ?? '' };
  }
  throw new Unavailable(
    env.CXX
      ? `the C++ compiler that CXX names, ${env.CXX}, cannot be run`
      : 'no C++ compiler: install g++ (or clang++), or name one by CXX',
  );
}

/**
 * Compiles the binding's sources against a TensorFlow, unless the cache has it whole; returns the binding's file.
 * @throws Unavailable when there is no compiler or it fails.
 */
export async function compileBinding(found: Found, force = false, env = process.env): Promise<string> {
  const file = bindingFile(found, env);
  const fill = async (folder: string) => {
    const { program } = await compiler(env);
    await step('compile the TensorFlow binding', () => build(program, found, folder, env));
  };
  await provide(dirname(file), needs, fill, { force });
  return file;
}

/** What is wrong with the compiled binding for a TensorFlow, see `faultOf`. */
export async function bindingFault(found: Found, all: boolean, env = process.env): Promise<string | undefined> {
  const file = bindingFile(found, env);
  return existsSync(dirname(file))
    ? faultOf(dirname(file), needs, all)
    : `the binding for ${found.folder} is not compiled`;
}

/**
 * How the binding is linked to a TensorFlow. The loader's search path has no way to write a colon, so libraries of the
 * cache are named from where the binding lies.
 * @throws Unavailable where a colon remains.
 */
export function linking(found: Found, folder: string): string[] {
  // The CUDA libraries are loaded with the binding, so that TensorFlow's own search by name finds them loaded.
  const files = [...libraries.map((name) => join(found.folder, name)), ...cudaLibraries(found)];
  const searched = [...new Set(files.map((file) => dirname(file)))].map((path) =>
    found.source === 'cache' ? `$ORIGIN/${relative(folder, path)}` : path,
  );
  if (searched.some((path) => path.includes(':')))
    throw new Unavailable(
      `${found.folder} has a colon in its name, which the loader cannot search`,
      'rename the folder',
    );
  return [...linkFlags, ...files, ...searched.flatMap((path) => ['-Xlinker', '-rpath', '-Xlinker', path])];
}

async function build(program: string, found: Found, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const headers: string = require('node-api-headers').include_dir;
  const includes = [`-I${headers}`, `-I${stock}`, `-I${join(found.folder, 'include')}`];
  const run = async (...args: string[]) => {
    const { code, err, fault } = await command(program, args, { env, seconds: 1800 });
    if (code !== 0) throw new Unavailable(`${program} could not build the binding: ${fault || lastLines(err, 3)}`);
  };
  const links = linking(found, folder);
  const units = ['tfjs_backend', 'tfjs_binding'];
  const [objects, output, operations] = [
    units.map((unit) => join(folder, `${unit}.o`)),
    join(folder, BINDING),
    join(folder, OPERATIONS),
  ];
  const framework = join(found.folder, libraries[1]);
  const quiet = [`-DLOGSNR_FRAMEWORK=${JSON.stringify(framework)}`, '-shared', join(sources, 'quiet.cc'), '-ldl'];
  const works = await Promise.allSettled([
    ...units.map((unit, i) =>
      run(...flags, ...includes, '-c', join(stock, 'binding', `${unit}.cc`), '-o', `${objects[i]}`),
    ),
    run(...flags, ...includes, ...quiet, '-o', join(folder, QUIET)),
    run(...flags, ...fast, ...includes, '-shared', ...operationSources, framework, '-o', operations).catch((error) => {
      // Nothing depends on them: what they compute is then composed of the library's own operations.
      say(`without fused operations: ${error.message}`);
      rmSync(operations, { force: true });
    }),
  ]);
  for (const work of works) if (work.status === 'rejected') throw work.reason;
  await run('-shared', ...objects, ...links, '-o', output);
  for (const object of objects) rmSync(object, { force: true });
}
