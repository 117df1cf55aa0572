import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, pip as fetchWithPip, fingerprintOf, requirements, step, unzip } from '@logsnr/io/node';
import { provide, releaseFolder } from './cache.js';
import { cudaPackages } from './cuda.js';
import { type Found, releaseNeeds } from './find.js';
import type { Wheel } from './plan.js';
import { Unavailable } from './unavailable.js';

/**
 * Fetches a wheel with pip, checks its hash, and unpacks what is needed of it into the cache, unless it is there and
 * whole.
 * @throws Unavailable with the reason, in one line.
 */
export async function fetchRelease(wheel: Wheel, force = false, env = process.env): Promise<Found> {
  const what = `${wheel.name} ${wheel.version}`;
  const fill = async (folder: string) => {
    const scratch = join(folder, 'wheel');
    mkdirSync(scratch);
    const file = await step(`fetch ${what} (${wheel.megabytes} MB)`, () => download(wheel, scratch, env));
    await step(`unpack ${what}`, () => unpack(file, folder, env));
    if (wheel.device === 'cuda')
      await step('fetch the CUDA libraries (2.5 GB)', () => addCuda(wheel, scratch, folder, env));
    rmSync(scratch, { recursive: true });
  };
  const { version, device, contents } = wheel;
  const release = releaseFolder(cacheFolder(env), version, device, process.arch);
  await provide(release, releaseNeeds, fill, { force, contents });
  return { folder: join(release, 'tensorflow'), version, device, source: 'cache' };
}

/** Arguments by which pip takes a wheel for this platform, whichever Python runs it. */
const pipTarget = (wheel: Wheel): string[] => [
  '--only-binary=:all:',
  ...wheel.platforms.flatMap((platform) => ['--platform', platform]),
  ...['--python-version', '3.11', '--implementation', 'cp', '--abi', 'cp311'],
];

/** pip with the errors of this package. */
const pip = (env: NodeJS.ProcessEnv, ...args: string[]): Promise<void> =>
  fetchWithPip('TensorFlow', args, env).catch((error: unknown) => {
    throw new Unavailable((error as Error).message);
  });

async function download(wheel: Wheel, folder: string, env: NodeJS.ProcessEnv): Promise<string> {
  const pins = join(folder, 'requirements.txt');
  writeFileSync(pins, requirements([[wheel.name, wheel.version, wheel.sha256]]));
  await pip(env, 'download', '--quiet', '--no-deps', '--require-hashes', ...pipTarget(wheel), '-d', folder, '-r', pins);
  const name = readdirSync(folder).find((file) => file.endsWith('.whl'));
  if (!name) throw new Unavailable(`pip fetched no wheel of ${wheel.name} ${wheel.version}`);
  const file = join(folder, name);
  const { sha256 } = await fingerprintOf(file);
  if (sha256 !== wheel.sha256)
    throw new Unavailable(`${file} has the SHA-256 ${sha256}; ${wheel.sha256} is pinned, so it is not used`);
  return file;
}

async function addCuda(wheel: Wheel, scratch: string, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const pins = join(scratch, 'requirements.txt');
  writeFileSync(pins, requirements(cudaPackages));
  const options = ['--quiet', '--no-deps', '--no-compile', '--require-hashes', ...pipTarget(wheel)];
  await pip(env, 'install', ...options, '--target', folder, '-r', pins);
}

// The libraries, and of the 13,000 headers those that the C interface includes.
const WANTED =
  'tensorflow/(lib[^/]*\\.so[^/]*|python/platform/build_info\\.py' +
  '|include/(tensorflow/c|tensorflow/core/platform|tensorflow/core/public|tsl/platform|xla/tsl/c)/.*\\.h)$';

const unpack = (file: string, folder: string, env: NodeJS.ProcessEnv): Promise<void> =>
  unzip(file, folder, WANTED, env).catch((error: unknown) => {
    throw new Unavailable((error as Error).message);
  });
