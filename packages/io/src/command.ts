import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { codeOf } from './files.js';

/** What a finished command left. */
export interface Finished {
  /** Null where it did not end by itself. */
  code: number | null;
  out: string;
  err: string;
  /** Why it did not, as in "was not found". */
  fault: string;
  /** Whether it was given up: it took too long, or printed too much. */
  givenUp: boolean;
}

/** MiB that a command may print. Those that are run here print some lines. */
const MOST = 16;

/** How a command runs. */
export interface CommandOptions {
  env?: NodeJS.ProcessEnv;
  /** `/` unless given: programs take modules, configurations and libraries from where they stand. */
  cwd?: string;
  /** How long it may take, in seconds; 600 unless given. Then it is killed. */
  seconds?: number;
}

/**
 * Runs a program without a shell and without input, and collects what it prints. One that takes longer than its limit,
 * or prints over 16 MiB, is killed. Never rejects.
 */
export function command(
  program: string,
  args: readonly string[],
  { env = process.env, cwd = '/', seconds = 600 }: CommandOptions = {},
): Promise<Finished> {
  return new Promise((done) => {
    // At its limit this also lets go of pipes that a child of the child may hold.
    const limits = { timeout: 1000 * seconds, killSignal: 'SIGKILL', maxBuffer: MOST * 2 ** 20 } as const;
    const child = execFile(program, args, { env, cwd, ...limits }, (error, out, err) => {
      if (!error || typeof error.code === 'number')
        return done({ code: error ? Number(error.code) : 0, out, err, fault: '', givenUp: false });
      const code = codeOf(error);
      const loud = code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER';
      const givenUp = loud || (code === undefined && error.killed === true);
      const given = loud ? `printed more than ${MOST} MiB` : `did not end within ${seconds} s`;
      const failed = code === 'ENOENT' ? 'was not found' : `cannot be run (${code})`;
      const fault = givenUp ? given : code === undefined ? `was ended by ${error.signal}` : failed;
      done({ code: null, out, err, fault, givenUp });
    });
    child.stdin?.end();
  });
}

/** A program's name as it is where this process stands: one with a slash in it as a full path. */
export const placed = (program: string): string => (program.includes('/') ? resolve(program) : program);

/** The last lines of what a command wrote, on one line, for an error message. */
export const lastLines = (text: string, lines = 2): string =>
  text.trim().split('\n').slice(-lines).join(' ').replace(/\s+/g, ' ').slice(0, 400);
