import { existsSync, statSync } from 'node:fs';
import { lstat, mkdir, readdir, rename, rm, utimes } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { makeFolder, say, syncFolder, takeLock } from '@logsnr/io/node';
import { faultOf, seal, whyUntrusted } from './entry.js';
import { tensorflowVersion } from './plan.js';
import { Unavailable } from './unavailable.js';

/** The folder of one TensorFlow release in the cache. */
export const releaseFolder = (cache: string, version: string, device: string, arch: string): string =>
  join(cache, `tensorflow-${version}-${device}-${arch}`);

/**
 * Refuses a cache whose code another user could have put there.
 * @throws Unavailable that says what to do.
 */
export function checkCache(cache: string): void {
  if (!existsSync(cache)) return;
  const { why, writable } = whyUntrusted(cache) ?? {};
  const own = 'name a folder of your own by LOGSNR_CACHE';
  const todo = writable ? `run "chmod -R go-w ${cache}" if you trust what is in it, or ${own}` : own;
  if (why) throw new Unavailable(`the cache is not used: ${why}`, todo);
  for (let above = dirname(cache); ; above = dirname(above)) {
    // In a folder such as /tmp, with the sticky bit, nobody moves what another one owns.
    if ((statSync(above).mode & 0o1002) === 0o002)
      throw new Unavailable(
        `the cache ${cache} is not used: every user can replace it, as ${above} is writable for all`,
        own,
      );
    if (above === dirname(above)) return;
  }
}

/**
 * Makes an entry of the cache, unless it is there and whole. It is filled beside its place, kept by the disk, and
 * renamed: whoever looks sees all of it or none. Two processes make it once; one that is ended half-way leaves what was
 * there before.
 * @param needs the files that it must have, by their path in it.
 * @param contents the hash of an entry without a manifest that is whole nevertheless.
 * @throws Unavailable where the cache cannot be trusted, or `fill` makes no such entry.
 */
export async function provide(
  entry: string,
  needs: readonly string[],
  fill: (folder: string) => Promise<void>,
  { force = false, contents }: { force?: boolean; contents?: string | undefined } = {},
): Promise<void> {
  const fault = async () => (existsSync(entry) ? faultOf(entry, needs, true) : '');
  checkCache(dirname(entry));
  if (!force && (await fault()) === undefined) return markUsed(entry);
  await alone(dirname(entry), async () => {
    const why = force ? '' : await fault();
    if (why === undefined || (why && contents && (await seal(entry, contents)))) return;
    if (why) say(`${why}; it is made anew`);
    const part = `${entry}.part`;
    try {
      await mkdir(part, { mode: 0o700 });
      await fill(part);
      const missing = needs.filter((name) => !existsSync(join(part, name)));
      if (missing.length > 0) throw new Unavailable(`what was made for ${entry} lacks ${missing.join(', ')}`);
      await seal(part);
      if (existsSync(entry)) await rename(entry, `${entry}.old`);
      await rename(part, entry);
      await syncFolder(dirname(entry));
      await collectUnused(dirname(entry)).catch(() => {});
    } finally {
      await collect(dirname(entry)).catch(() => {});
    }
  });
}

/** Runs `work` while no other process does so for this cache, which is made if need be; first collects what is left over. */
async function alone(cache: string, work: () => Promise<void>, waitMs = 3_600_000): Promise<void> {
  await makeFolder(cache, { mode: 0o700 });
  checkCache(cache);
  const lock = await takeLock(join(cache, 'lock'), { waitMs, onWait: say, what: 'installs TensorFlow' });
  try {
    await collect(cache);
    await work();
  } finally {
    await lock.release();
  }
}

// The last two are of versions that had other names.
const leftOver = /^(tensorflow|binding)-.*\.(part|old|wheel|lock)$/;

/** Removes what killed processes left, and puts back what one was about to replace. For those who have the lock. */
async function collect(cache: string): Promise<void> {
  for (const name of (await readdir(cache)).filter((name) => leftOver.test(name))) {
    const [path, entry] = [join(cache, name), join(cache, name.replace(/\.old$/, ''))];
    if (existsSync(entry)) await rm(path, { recursive: true, force: true });
    else await rename(path, entry);
  }
}

/** Notes that an entry is in use. Where this user may not write it, nobody collects it either. */
export async function markUsed(entry: string): Promise<void> {
  await utimes(entry, new Date(), new Date()).catch(() => {});
}

const MONTH = 30 * 86_400_000;

/**
 * Removes the entries that no version has used for a month, but for this version's own releases. For those who have the
 * lock. A process that has loaded one keeps what it has loaded.
 */
async function collectUnused(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const path = join(cache, name);
    if (!/^(tensorflow|binding)-/.test(name) || leftOver.test(name)) continue;
    if (name.startsWith(`tensorflow-${tensorflowVersion}-`) || Date.now() - (await lastUse(path)) < MONTH) continue;
    await rename(path, `${path}.part`); // So that nobody sees half of it.
    await rm(`${path}.part`, { recursive: true, force: true });
  }
}

/** When an entry was last marked, or one of its files read, which versions that mark none do at every start. */
async function lastUse(entry: string): Promise<number> {
  const names = await readdir(entry, { recursive: true });
  const all = await Promise.all(names.map((name) => lstat(join(entry, name))));
  // To look through a folder counts as reading it.
  const read = all.filter((stats) => !stats.isDirectory()).map(({ atimeMs }) => atimeMs);
  return Math.max((await lstat(entry)).mtimeMs, ...read);
}

/** Collects what killed processes left in a cache, where this can be done at once. */
export async function collectLeftOvers(cache: string): Promise<void> {
  const names = await readdir(cache).catch(() => []);
  if (names.some((name) => leftOver.test(name))) await alone(cache, async () => {}, 0).catch(() => {});
}
