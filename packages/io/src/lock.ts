import { randomUUID } from 'node:crypto';
import { constants, readFileSync } from 'node:fs';
import { copyFile, link, rename, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { besideOf, explained, piecesOf, readText, writeSynced } from './durable.js';

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

interface Owner {
  readonly pid: number;
  /** When the process began, so that a number used again is not taken for it. */
  readonly began: string;
  readonly host: string;
  readonly since: string;
  /** A name for this one taking of the lock. */
  readonly id: string;
}

/**
 * Takes the lock `path`, a file that only one process at a time can have. One left by a process of this machine that is
 * gone (killed, or before a restart of the machine) is taken over; one of another machine is not, as nobody here can
 * know whether it is still at work.
 * @throws Error that names the file and its owner where another process has it, or where it cannot be written.
 */
export async function takeLock(
  path: string,
  { waitMs = 0, onWait, what = 'works here' }: LockOptions = {},
): Promise<Lock> {
  const me: Owner = {
    pid: process.pid,
    began: beginningOf(process.pid) ?? '',
    host: hostname(),
    since: new Date().toISOString(),
    id: randomUUID(),
  };
  const own = besideOf(path);
  await writeSynced(own, piecesOf(`${JSON.stringify(me)}\n`));
  const until = performance.now() + waitMs;
  try {
    for (let told = false; ; told = true) {
      const owner = await take(path, own);
      if (!owner) break;
      const held = heldBy(owner, path, what);
      if (performance.now() >= until) throw new Error(held);
      if (!told) onWait?.(`${held} Waiting for up to ${waitMs / 1000} s.`);
      await sleep(Math.min(200, until - performance.now()));
    }
  } catch (error) {
    throw explained(error, path);
  } finally {
    await rm(own, { force: true });
  }
  const isMine = async () => {
    const text = await readText(path);
    return text !== undefined && ownerOf(text, path).id === me.id;
  };
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

/**
 * Gives the file `own` a second name, `path`, which only one process can do. Where a dead owner has the name, the right
 * to replace it is itself such a file, named after the owner: whoever gets that name finds either the dead owner still
 * in place, and replaces it, or that another has been faster.
 * @returns the owner where one is at work.
 */
async function take(path: string, own: string): Promise<Owner | undefined> {
  try {
    await name(own, path);
    return undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const text = await readText(path);
  if (text === undefined) return take(path, own);
  const owner = ownerOf(text, path);
  if (isAlive(owner)) return owner;
  const claim = `${path}.${owner.id}`;
  const other = await take(claim, own);
  if (other) return other;
  if ((await readText(path)) === text) {
    await rename(claim, path);
    return undefined;
  }
  await rm(claim);
  return take(path, own);
}

/** A second name for a file, if it is free; on file systems without links, a copy. */
async function name(own: string, path: string): Promise<void> {
  try {
    await link(own, path);
  } catch (error) {
    if (!['EPERM', 'ENOTSUP', 'ENOSYS', 'EMLINK'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    await copyFile(own, path, constants.COPYFILE_EXCL);
  }
}

function ownerOf(text: string, path: string): Owner {
  try {
    const { pid, began, host, since, id } = JSON.parse(text) as Owner;
    if (
      Number.isSafeInteger(pid) &&
      [began, host, since, id].every((field) => typeof field === 'string') &&
      /^[\w-]+$/.test(id)
    )
      return { pid, began, host, since, id };
  } catch {}
  throw new Error(`${path} cannot be read, so its owner is unknown. If no other process uses it, delete it.`);
}

const heldBy = ({ pid, host, since }: Owner, path: string, what: string): string =>
  host === hostname()
    ? `${path} is held by process ${pid}, which ${what} since ${since}. Wait for it, or stop it.`
    : `${path} is held by process ${pid} of the machine ${host}, which ${what} since ${since}. If it is gone, delete the file.`;

function isAlive({ pid, began, host }: Owner): boolean {
  if (host !== hostname()) return true;
  try {
    process.kill(pid, 0);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
  }
  const now = beginningOf(pid);
  return now === undefined || began === '' || now === began;
}

/** A process's start in ticks after the machine's, and the machine's own start: on Linux; elsewhere unknown. */
function beginningOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field, the command, may hold anything, but ends with the last parenthesis. Start is field 22.
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
    return `${start}@${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}`;
  } catch {
    return undefined;
  }
}
