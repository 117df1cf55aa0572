import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { cacheFolder, command, isolated, pythonProgram, say } from '@logsnr/io/node';
import { releaseFolder } from './cache.js';
import { faultOf } from './entry.js';
import { atLeast, type Device, oldestVersion, suits, tensorflowVersion } from './plan.js';
import { Unavailable } from './unavailable.js';

/** A TensorFlow on this machine. */
export interface Found {
  /** The folder with `libtensorflow_cc.so.2`, `libtensorflow_framework.so.2` and `include/`. */
  folder: string;
  /** Its release, or `unknown` where the folder does not tell; the loaded library always does. */
  version: string;
  /** What it was built for; `unknown` where the folder does not tell. */
  device: Device | 'unknown';
  /** Who named it: the user's folder, a Python environment, or this package's cache. */
  source: 'folder' | 'python' | 'cache';
}

/** The libraries that the binding links to. */
export const libraries = ['libtensorflow_cc.so.2', 'libtensorflow_framework.so.2'] as const;

const needed = [...libraries, 'include/tensorflow/c/eager/c_api.h'];

/** What a release in the cache must have. */
export const releaseNeeds: readonly string[] = needed.map((file) => `tensorflow/${file}`);

/** What a folder lacks to be used as a TensorFlow; empty where it lacks nothing. */
const missingFiles = (folder: string): string[] => needed.filter((file) => !existsSync(join(folder, file)));

const read = (file: string): string => (existsSync(file) ? readFileSync(file, 'utf8') : '');

// Not tensorflow_io and the like, which have versions of their own.
const distribution =
  /^(?:tensorflow|tensorflow_cpu|tf_nightly|tf_nightly_cpu|intel_tensorflow)-([\d.]+\w*)(?:\+[\w.]+)?\.(?:dist|egg)-info$/;

/** The release that a package folder's neighbour `tensorflow-<version>.dist-info` names. */
function versionBeside(folder: string): string {
  const parent = dirname(folder);
  const names = existsSync(parent) ? readdirSync(parent) : [];
  return names.flatMap((name) => distribution.exec(name)?.[1] ?? [])[0] ?? 'unknown';
}

function builtFor(folder: string): Device | 'unknown' {
  const info = read(join(folder, 'python', 'platform', 'build_info.py'));
  const cuda = /'is_cuda_build', (True|False)/.exec(info)?.[1];
  return cuda === undefined ? 'unknown' : cuda === 'True' ? 'cuda' : 'cpu';
}

/**
 * The TensorFlow in a folder that the user named.
 * @throws Unavailable when the folder does not hold the libraries and headers.
 */
export function inFolder(given: string): Found {
  const folder = resolve(given);
  const missing = missingFiles(folder);
  if (missing.length > 0)
    throw new Unavailable(
      `${folder}, given as TensorFlow's folder, lacks ${missing.join(', ')}`,
      'give the folder of the installed Python package "tensorflow"',
    );
  return { folder, version: versionBeside(folder), device: builtFor(folder), source: 'folder' };
}

// Finds the package without importing it, which would take seconds, and without running a file of the folders that an
// isolated Python leaves out, PYTHONPATH's and the user's own packages: the package may be there all the same.
const lookUp = `
import os, site, sys
from importlib.machinery import PathFinder
named = [p for p in os.environ.get('PYTHONPATH', '').split(os.pathsep) if os.path.isabs(p)]
own = [site.getusersitepackages()] if sys.prefix == sys.base_prefix and not os.environ.get('PYTHONNOUSERSITE') else []
s = PathFinder.find_spec('tensorflow', named + own + sys.path)
if s and s.submodule_search_locations: print(list(s.submodule_search_locations)[0])
`;

/** The TensorFlow of a Python environment, or one line on why there is none to use. */
export async function inPython(env: NodeJS.ProcessEnv = process.env, seconds = 20): Promise<Found | string> {
  const program = pythonProgram(env);
  const { code, out, fault, givenUp } = await command(program, [isolated, '-c', lookUp], { env, seconds });
  if (givenUp) say(`${program} ${fault}; it is passed over`);
  if (fault) return `${program} ${fault}`;
  const folder = out.trim();
  if (code !== 0 || !folder) return `${program} has no tensorflow`;
  const version = versionBeside(folder);
  if (version !== 'unknown' && !atLeast(version, oldestVersion))
    return `${program} has tensorflow ${version}; ${oldestVersion} or newer is needed`;
  if (missingFiles(folder).length > 0)
    return `tensorflow ${version} of ${program} lacks ${missingFiles(folder).join(', ')}`;
  return { folder, version, device: builtFor(folder), source: 'python' };
}

/** What is wrong with a TensorFlow of this package's cache, see `faultOf`; others are their installers' care. */
export const libraryFault = async ({ folder, source }: Found, all: boolean): Promise<string | undefined> =>
  source === 'cache' ? faultOf(dirname(folder), releaseNeeds, all) : undefined;

/** The release that this package installed for a device, if it has. */
export function inCache(device: Device, env: NodeJS.ProcessEnv = process.env): Found | undefined {
  const release = releaseFolder(cacheFolder(env), tensorflowVersion, device, process.arch);
  const folder = join(release, 'tensorflow');
  return missingFiles(folder).length === 0
    ? { folder, version: tensorflowVersion, device, source: 'cache' }
    : undefined;
}

/**
 * The first of these that suits the device: the user's folder (`folder`, else LOGSNR_TENSORFLOW), a Python
 * environment's, this package's own. Where only one for the other device is there, that one. `notes` says what was
 * passed over and why.
 * @throws Unavailable when the user's folder cannot be used.
 */
export async function findTensorflow(
  device: Device,
  folder?: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<{ found: Found | undefined; notes: string[] }> {
  const given = folder || env.LOGSNR_TENSORFLOW;
  if (given) return { found: inFolder(given), notes: [] };
  const python = await inPython(env);
  const notes = typeof python === 'string' ? [python] : [];
  const candidates = [python, inCache(device, env), inCache(device === 'cpu' ? 'cuda' : 'cpu', env)].filter(
    (one): one is Found => typeof one === 'object',
  );
  if (candidates.length === 0) notes.push(`none in ${cacheFolder(env)}`);
  return { found: candidates.find((one) => suits(one.device, device)) ?? candidates[0], notes };
}
