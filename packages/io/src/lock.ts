import { constants } from 'node:fs';
import { copyFile, link, rename, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { besideOf, piecesOf, sweepBeside, writeSynced } from './durable.js';
import { assertLock, codeOf, explained, readText } from './files.js';
import { aliveAs, type Owner, ownerOf, thisProcess } from './owner.js';

/** A file that this process alone has. */
export interface Lock {
  /** Throws unless the lock is still this process's. */
  check(): Promise<void>;
  release(): Promise<void>;
}

export interface LockOptions {
  /** How long to wait for another process, in milliseconds. 0 unless given: one that is held is refused at once. */
  readonly waitMs?: number;
  /** Told once, where there is something to wait for. */
  readonly onWait?: (message: string) => void;
  /** What the holder of such a lock does, for messages: "trains in this folder". */
  readonly what?: string;
}

/**
 * Takes the lock `path`, a file that only one process at a time can have. One left by a process of this machine that is
 * gone (killed, or before a restart of the machine) is taken over. One of another machine or container is not, as
 * nobody here can know whether it is still at work.
 * @throws Error that names the file and its owner where another process has it, or where it cannot be written.
 */
export async function takeLock(
  path: string,
  { waitMs = 0, onWait, what = 'works here' }: LockOptions = {},
): Promise<Lock> {
  if (!(waitMs >= 0 && waitMs < Number.POSITIVE_INFINITY))
    throw new RangeError(`waitMs is ${waitMs}; it must be a number of milliseconds, 0 or more.`);
  const me = thisProcess();
  const text = `${JSON.stringify(me)}\n`;
  const until = performance.now() + waitMs;
  for (let told = false; ; told = true) {
    const held = await attempt(path, text, what);
    if (held === undefined) break;
    if (performance.now() >= until) throw new Error(held);
    if (!told) onWait?.(`${held} Waiting for up to ${waitMs / 1000} s.`);
    await sleep(Math.min(100, until - performance.now()));
  }
  await sweepBeside(path);
  const isMine = async () => ownerOf((await textAt(path)) ?? '')?.id === me.id;
  return {
    async check() {
      if (await isMine()) return;
      throw new Error(
        `${path} is no longer this process's: it was removed or taken by another one. Nothing more is written.`,
      );
    },
    async release() {
      if (await isMine().catch(() => false)) await rm(path, { force: true });
    },
  };
}

/** Tries once. @returns why the lock is held; undefined where this process has it now. */
async function attempt(path: string, text: string, what: string): Promise<string | undefined> {
  const found = await textAt(path);
  const { held } = found === undefined ? {} : judge(found, path, what);
  if (held !== undefined) return held;
  const own = besideOf(path);
  await writeSynced(own, piecesOf(text));
  try {
    return await take(path, own, what);
  } catch (error) {
    throw explained(error, path);
  } finally {
    await rm(own, { force: true }).catch(() => {}); // What is left is swept one day.
  }
}

/**
 * Gives the file `own` a second name, `path`, which only one process can do. Where a dead owner has the name, the right
 * to replace it is itself such a file, named after the owner: whoever gets that name finds either the dead owner still
 * in place, and replaces it, or that another has been faster.
 */
async function take(path: string, own: string, what: string): Promise<string | undefined> {
  if (await name(own, path)) return undefined;
  const text = await textAt(path);
  if (text === undefined) return take(path, own, what);
  const { held, dead } = judge(text, path, what);
  if (!dead) return held;
  const claim = `${path}.${dead.id}.tmp`;
  const other = await take(claim, own, what);
  if (other !== undefined) return other;
  if ((await textAt(path)) === text) {
    await rename(claim, path);
    return undefined;
  }
  await rm(claim);
  return take(path, own, what);
}

/** A second name for a file, if it is free; on file systems without links, a copy. */
async function name(own: string, path: string): Promise<boolean> {
  try {
    await link(own, path).catch((error: unknown) => {
      if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes(codeOf(error) ?? '')) throw error;
      return copyFile(own, path, constants.COPYFILE_EXCL);
    });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

/** The text of a lock; undefined where there is none. A link is refused: it may lead nowhere, which no lock replaces. */
async function textAt(path: string): Promise<string | undefined> {
  await assertLock(path);
  return readText(path, 2 ** 22);
}

/** Why a lock of this text is held, or its owner, who is gone. */
function judge(text: string, path: string, what: string): { held?: string; dead?: Owner } {
  const owner = ownerOf(text);
  if (!owner)
    return { held: `${path} cannot be read, so its owner is unknown. If no other process uses it, delete it.` };
  const alive = aliveAs(owner);
  if (!alive) return { dead: owner };
  return { held: `${path} is held by ${alive.who}, which ${what} since ${owner.since}. ${alive.advice}` };
}
