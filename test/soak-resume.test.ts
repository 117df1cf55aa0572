import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test, vi } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = { cwd: root, env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` } };

test('a run that is killed twice ends with the weights of one that is not', async () => {
  const args = ['--import', 'tsx', 'scripts/soak-resume.ts', '--kills', '2', '--steps', '80'];
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  expect(stdout).toMatch(/killed 2 times/);
  expect(stdout).toMatch(/compared 16 tensors, \d{6} bytes: 0 differ; metrics\.jsonl has each step once/);
}, 180_000);

describe.concurrent('what ends a training from outside loses no step', () => {
  const worker = (folder: string, steps: number, modes: readonly string[], stderr: 'pipe' | number = 'pipe') =>
    spawn(process.execPath, ['--import', 'tsx', 'scripts/soak-worker.ts', folder, String(steps), 'eager', ...modes], {
      ...options,
      stdio: ['ignore', 'pipe', stderr],
    });
  const within = async (body: (folder: string) => Promise<void>) => {
    const folder = mkdtempSync(join(tmpdir(), 'logsnr-interrupt-'));
    await body(folder).finally(() => rmSync(folder, { recursive: true }));
  };
  const newest = (folder: string) => readdirSync(join(folder, 'checkpoints')).at(-1);
  const nameOf = (step: number) => `step-${String(step).padStart(8, '0')}`;

  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    '%s, however often it is passed on, saves, says so, and ends the process as it does',
    (signal) =>
      within(async (folder) => {
        const child = worker(folder, 100_000, []);
        let said = '';
        child.stderr?.setEncoding('utf8').on('data', (text) => {
          said += text;
        });
        await once(child.stdout as Readable, 'data');
        const ended = once(child, 'close');
        for (let i = 0; i < 3; i++) child.kill(signal);
        expect(await ended).toEqual([null, signal]);
        const step = Number(/saved step (\d+)\. Run the same command again to go on\./.exec(said)?.[1]);
        expect(said.startsWith(`${signal}: saving after the step under way; once more to end at once.`)).toBe(true);
        expect(newest(folder)).toBe(nameOf(step));
        expect(readdirSync(folder)).not.toContain('lock');
      }),
  );

  test('the same signal again a second later ends the process at once; another one does not', () =>
    within(async (folder) => {
      const child = worker(folder, 100_000, ['pause=3']);
      await new Promise<void>((done) => {
        child.stdout?.on('data', (text) => /paused/.test(text) && done());
      });
      const ended = once(child, 'close');
      let said = '';
      child.stderr?.on('data', (text) => {
        said += text;
      });
      for (const signal of ['SIGTERM', 'SIGHUP'] as const) {
        child.kill(signal);
        await vi.waitFor(() => expect(said).toContain(signal), 10_000);
      }
      await new Promise((done) => setTimeout(done, 1100));
      expect(child.exitCode).toBe(null);
      child.kill('SIGTERM');
      expect(await ended).toEqual([null, 'SIGTERM']);
    }));

  test('an error that nothing catches saves, and is the error of the process', () =>
    within(async (folder) => {
      const child = worker(folder, 100_000, ['throw']);
      let said = '';
      child.stderr?.on('data', (text) => {
        said += text;
      });
      expect(await once(child, 'close')).toEqual([1, null]);
      expect(newest(folder)).toBe(nameOf(Number(/saved step (\d+)\./.exec(said)?.[1])));
      expect(said).toMatch(/Error: nobody catches this\n\s+at /);
    }));

  test.skipIf(!existsSync('/dev/full'))('where standard error is on a full disk, or closed, training goes on', () =>
    within(async (folder) => {
      const full = openSync('/dev/full', 'w');
      const [a, b] = [join(folder, 'a'), join(folder, 'b')];
      const children = [worker(a, 40, ['line'], full), worker(b, 40, ['line'])];
      children[1]?.stderr?.destroy();
      for (const ended of await Promise.all(children.map((child) => once(child, 'close'))))
        expect(ended).toEqual([0, null]);
      closeSync(full);
      expect([newest(a), newest(b)]).toEqual([nameOf(40), nameOf(40)]);
    }),
  );
});
