import fs from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { tmpdir } from 'node:os';

/** A folder for temporary files: in memory where the system has one, as much fsync is slow on a disk. */
export const memoryFolder = fs.existsSync('/dev/shm') ? '/dev/shm' : tmpdir();

/** How one file operation fails: with an error of the system, or the process is gone and does nothing more. */
export type Fault = 'EIO' | 'ENOSPC' | 'EACCES' | 'kill';

type Operation = (...args: unknown[]) => unknown;
const synchronous =
  'copyFileSync linkSync mkdirSync openSync readdirSync readFileSync renameSync rmSync statSync writeFileSync';
const asynchronous = 'chmod copyFile link lstat mkdir open readdir readFile rename rm stat truncate';
const ofHandles = 'read readFile sync write writeFile close';

/**
 * Runs `work` while the file operation number `at` under a folder fails, counted from 0. The others go through; after a
 * `kill` none does.
 * @returns the operations that there were, and what `work` threw.
 */
export async function withFault(folder: string, at: number, fault: Fault, work: () => Promise<unknown>) {
  const operations: string[] = [];
  let dead = false;
  const meet = (name: string, path: unknown) => {
    const now = operations.push(`${name} ${path}`) - 1;
    if (now === at && fault === 'kill') dead = true;
    if (dead) throw new Error(`killed before ${name} ${path}`);
    if (now === at) throw Object.assign(new Error(`${fault}: ${name} '${path}'`), { code: fault });
  };
  const undo: (() => void)[] = [];
  const replace = (object: object, names: string, wrap: (real: Operation, name: string) => Operation) => {
    for (const name of names.split(' ')) {
      const real: Operation = Reflect.get(object, name);
      Reflect.set(object, name, wrap(real.bind(object), name));
      undo.push(() => Reflect.set(object, name, real));
    }
  };
  const inside = (path: unknown) => String(path).startsWith(folder);
  replace(fs, synchronous, (real, name) => (path, ...rest) => {
    if (inside(path)) meet(name, path);
    return real(path, ...rest);
  });
  replace(fs.promises, asynchronous, (real, name) => async (path, ...rest) => {
    if (inside(path)) meet(name, path);
    const result = await real(path, ...rest);
    if (name === 'open' && inside(path))
      for (const method of ofHandles.split(' ')) {
        const handle = result as object;
        const own: Operation = Reflect.get(handle, method).bind(handle);
        const close: Operation = Reflect.get(handle, 'close').bind(handle);
        Reflect.set(handle, method, async (...args: unknown[]) => {
          try {
            meet(method, path);
          } catch (error) {
            if (method === 'close') await close();
            throw error;
          }
          return own(...args);
        });
      }
    return result;
  });
  syncBuiltinESMExports();
  try {
    await work();
    return { operations, error: undefined };
  } catch (error) {
    return { operations, error: error as Error };
  } finally {
    for (const back of undo) back();
    syncBuiltinESMExports();
  }
}

/** Makes a lock that this process has left behind that of a process which is gone. */
export function endOwner(lock: string): void {
  if (!fs.existsSync(lock)) return;
  // No system gives a process this number.
  fs.writeFileSync(lock, JSON.stringify({ ...JSON.parse(fs.readFileSync(lock, 'utf8')), pid: 2 ** 22 + 1 }));
}
