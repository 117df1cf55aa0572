import { type SpawnSyncReturns, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect, vi } from 'vitest';
import { main } from '../src/main.js';

/** The command in this process, which has started already. */
export async function call(...args: string[]): Promise<{ stdout: string; stderr: string; status: number }> {
  const out: string[] = [];
  const err: string[] = [];
  const spies = [
    vi.spyOn(console, 'log').mockImplementation((text) => void out.push(`${text}\n`)),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => !!err.push(String(text))),
  ];
  try {
    const status = await main(args);
    return { stdout: out.join(''), stderr: err.join(''), status };
  } finally {
    for (const spy of spies) spy.mockRestore();
    process.exitCode = undefined;
  }
}

/** The repository. */
export const root = fileURLToPath(new URL('../../..', import.meta.url));

const bin = ['--import', import.meta.resolve('tsx'), `${root}/packages/cli/src/bin.ts`];
const env = { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` };

/** The command in processes of their own, in a folder, as a user runs it. */
export function processesIn(folder: string, more: NodeJS.ProcessEnv = {}) {
  const run = (...args: string[]): SpawnSyncReturns<string> =>
    spawnSync(process.execPath, [...bin, ...args], { cwd: folder, encoding: 'utf8', env: { ...env, ...more } });
  const start = (...args: string[]) =>
    spawn(process.execPath, [...bin, ...args], { cwd: folder, stdio: 'ignore', env: { ...env, ...more } });
  /** Starts the command, and kills it when a file is there. */
  const killed = async (file: string, ...args: string[]): Promise<void> => {
    const child = start(...args);
    const ended = new Promise<NodeJS.Signals | null>((done) => child.on('exit', (_, signal) => done(signal)));
    while (!existsSync(join(folder, file)) && child.exitCode === null) await sleep(20);
    child.kill('SIGKILL');
    expect(await ended).toBe('SIGKILL');
  };
  return { run, start, killed };
}
