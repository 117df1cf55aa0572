import { execFile } from 'node:child_process';
import { resolve } from 'node:path';

/** What a finished command left. `code` is null where it did not end by itself; `fault` says why, as in "was not found". */
export interface Finished {
  code: number | null;
  out: string;
  err: string;
  fault: string;
}

/** How a command runs. */
export interface CommandOptions {
  env?: NodeJS.ProcessEnv;
  /** `/` unless given: programs take modules, configurations and libraries from where they stand. */
  cwd?: string;
  /** How long it may take, in seconds; 600 unless given. Then it is killed. */
  seconds?: number;
}

/** Runs a program without a shell and without input, and collects what it prints. Never rejects. */
export function command(
  program: string,
  args: readonly string[],
  { env = process.env, cwd = '/', seconds = 600 }: CommandOptions = {},
): Promise<Finished> {
  return new Promise((done) => {
    // At its limit this also lets go of pipes that a child of the child may hold.
    const limits = { timeout: 1000 * seconds, killSignal: 'SIGKILL', maxBuffer: Number.POSITIVE_INFINITY } as const;
    const child = execFile(program, args, { env, cwd, ...limits }, (error, out, err) => {
      if (!error || typeof error.code === 'number')
        return done({ code: error ? Number(error.code) : 0, out, err, fault: '' });
      const ended = error.killed ? `did not end within ${seconds} s` : `was ended by ${error.signal}`;
      const fault = error.code === 'ENOENT' ? 'was not found' : error.code ? `cannot be run (${error.code})` : ended;
      done({ code: null, out, err, fault });
    });
    child.stdin?.end();
  });
}

/** A program's name as it is where this process stands: one with a slash in it as a full path. */
export const placed = (program: string): string => (program.includes('/') ? resolve(program) : program);

/** The last lines of what a command wrote, on one line, for an error message. */
export const lastLines = (text: string, lines = 2): string =>
  text.trim().split('\n').slice(-lines).join(' ').replace(/\s+/g, ' ').slice(0, 400);
