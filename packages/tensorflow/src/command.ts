import { spawn } from 'node:child_process';

/** What a finished command left. `code` is null where it could not be started or was ended by a signal. */
export interface Finished {
  code: number | null;
  out: string;
  err: string;
}

/** Runs a program without a shell and collects what it prints. Never throws: a missing program has code null. */
export function command(program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Finished> {
  return new Promise((done) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: env ?? process.env });
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      out += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      err += text;
    });
    child.on('error', (error) => done({ code: null, out, err: error.message }));
    child.on('close', (code) => done({ code, out, err }));
  });
}

/** The last lines of what a command wrote, on one line, for an error message. */
export const lastLines = (text: string, lines = 2): string =>
  text.trim().split('\n').slice(-lines).join(' ').replace(/\s+/g, ' ').slice(0, 400);
