import { randomBytes } from 'node:crypto';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import envPaths from 'env-paths';

/** The per-user folder that holds the library and the compiled binding: LOGSNR_CACHE, else the system's cache folder. */
export const cacheFolder = (env: NodeJS.ProcessEnv = process.env): string =>
  resolve(env.LOGSNR_CACHE || envPaths('logsnr', { suffix: '' }).cache);

/**
 * Makes the folder `target` by filling another one beside it and renaming that: whoever looks sees all of it or none.
 * Where `target` exists by then, the new one is dropped, or takes its place if `replace` is given.
 */
export async function fillFolder(
  target: string,
  fill: (folder: string) => Promise<void>,
  replace = false,
): Promise<void> {
  const beside = `${target}.${process.pid}.${randomBytes(4).toString('hex')}.part`;
  mkdirSync(beside, { recursive: true });
  try {
    await fill(beside);
    if (replace) rmSync(target, { recursive: true, force: true });
    try {
      renameSync(beside, target);
    } catch (error) {
      if (!existsSync(target)) throw error;
    }
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}

/** Runs `work` while no other process runs it under the same lock file. A lock whose process is gone is taken over. */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  mkdirSync(dirname(file), { recursive: true });
  for (let tries = 0; ; tries++) {
    try {
      const handle = openSync(file, 'wx');
      writeSync(handle, `${process.pid} ${hostname()}`);
      closeSync(handle);
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (abandoned(file)) rmSync(file, { force: true });
      else if (tries === 10) process.stderr.write(`another process installs this already; waiting for it (${file})\n`);
      await sleep(200);
    }
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function abandoned(file: string): boolean {
  try {
    const [pid, host] = readFileSync(file, 'utf8').split(' ');
    const age = Date.now() - statSync(file).mtimeMs;
    // Between its creation and its first write a lock is empty; and another machine's processes cannot be seen.
    if (!pid || host !== hostname()) return age > (pid ? 3_600_000 : 5000);
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

/** The folder of one TensorFlow release in the cache. */
export const releaseFolder = (cache: string, version: string, device: string, arch: string): string =>
  join(cache, `tensorflow-${version}-${device}-${arch}`);
