import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { isRival, type Variant } from './cases.js';

/** A variant's process. A request that fails or takes too long rejects and ends the process. */
export interface Worker {
  request<R>(message: object, timeoutMs: number): Promise<R>;
  stop(): void;
}

export const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/** Starts the process of a variant; `torch` is a Python that has PyTorch. */
export function startWorker(variant: Variant, torch?: string): Worker {
  const python = isRival(variant);
  if (python && !torch) throw new RangeError(`${variant} needs a Python with PyTorch; name it with --torch.`);
  return python
    ? startProcess(torch as string, ['-u', here('torch_worker.py'), variant])
    : startProcess(process.execPath, [...process.execArgv, here('worker.ts'), variant]);
}

/** Starts a program that answers one line of JSON for each line that it is sent. */
export function startProcess(program: string, args: readonly string[]): Worker {
  // A process group of its own: what it starts (compilers, say) ends with it.
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  let [errors, waiting] = ['', undefined as ((line: string | Error) => void) | undefined];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors = (errors + text).slice(-4000);
  });
  const settle = (line: string | Error) => {
    waiting?.(line);
    waiting = undefined;
  };
  createInterface({ input: child.stdout }).on('line', settle);
  child.on('error', (error) => settle(new Error(`${program} could not be started: ${error.message}`)));
  child.on('close', (code, signal) => settle(new Error(`it ended (${signal ?? code}): ${lastLine(errors)}`)));
  child.stdin.on('error', () => undefined); // said better by `close`
  const stop = () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // It has ended already.
    }
  };
  return {
    stop,
    async request<R>(message: object, timeoutMs: number) {
      const late = setTimeout(() => settle(new Error(`stopped after ${(timeoutMs / 1000).toFixed(0)} s`)), timeoutMs);
      try {
        const line = await new Promise<string | Error>((done) => {
          waiting = done;
          if (child.exitCode !== null) settle(new Error(`it ended: ${lastLine(errors)}`));
          else child.stdin.write(`${JSON.stringify(message)}\n`);
        });
        if (line instanceof Error) throw line;
        const reply = JSON.parse(line) as R & { error?: string };
        if (reply.error) throw new Error(reply.error);
        return reply;
      } catch (error) {
        stop();
        throw error;
      } finally {
        clearTimeout(late);
      }
    },
  };
}

/** The line that says what went wrong, or the last one. */
function lastLine(text: string): string {
  const lines = text.trim().split('\n');
  return lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? '';
}
