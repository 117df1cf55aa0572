import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../test/no-leak.js';
import { float64, runRow } from './loop.js';
import { parseRows, type Row } from './rows.js';
import { onTensors } from './tensors.js';

const fixture = (name: string) => readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8');
/** Loops of the peer's tests/schedulers, with the sum and the mean that they expect. */
const rows = parseRows(fixture('rows.json')) as (Row & { peer_sum: number | null; peer_mean: number })[];
/** Some of them recomputed in float64 elsewhere. */
const goldens: Record<string, { f64_sum: number; f64_mean: number }> = JSON.parse(fixture('diffusers-goldens.json'));
const named = (name: string) => rows.find((row) => row.name === name) as Row;
const relative = (found: number, expected: number) => Math.abs(found / expected - 1);

describe.each(Object.entries(goldens))('%s', (name, { f64_sum, f64_mean }) => {
  test('to 1e-9 in float64', () => {
    const { sum, mean } = runRow(named(name), float64);
    expect(relative(sum, f64_sum)).toBeLessThan(1e-9);
    expect(relative(mean, f64_mean)).toBeLessThan(1e-9);
  });

  test('to 1e-5 on tensors', async () => {
    expect(relative(runRow(named(name), await onTensors()).sum, f64_sum)).toBeLessThan(1e-5);
  });
});

test.each(rows.map((row) => [row.name, row] as const))('%s is what the peer expects', (_name, row) => {
  const { sum, mean } = runRow(row, float64);
  expect(Math.abs(mean - row.peer_mean)).toBeLessThan(1e-3);
  // The peer's tolerance of 1e-2 is on its own float32 sum, whose rounding is larger where noise is divided by a small α
  // or σ: its "DDPM with_noise" is 5e-5 off.
  if (row.peer_sum !== null) expect(Math.abs(sum - row.peer_sum)).toBeLessThan(Math.max(1e-2, 6e-5 * row.peer_sum));
});

// Other β, steps, spacings, thresholds, starts and seeds, by the peer's own code in float64: python parity/peer.py.
const recomputed = parseRows(fixture('recomputed.json')) as (Row & { f64_sum: number; f64_mean: number })[];

test.each(recomputed.map((row) => [row.name, row] as const))('%s is what the peer computes, to 1e-9', (_name, row) => {
  const { sum, mean } = runRow(row, float64);
  expect(relative(sum, row.f64_sum)).toBeLessThan(1e-9);
  expect(relative(mean, row.f64_mean)).toBeLessThan(1e-9);
});

test('leaks no tensor', async () => {
  const arithmetic = await onTensors();
  for (const name of ['DDIM with_noise t_start=8', 'EulerAncestral v_pred', 'Heun karras', 'UniPC v_pred'])
    expectNoLeak(() => {
      runRow(named(name), arithmetic);
    });
});

describe('the command', () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const run = async (rows: unknown) => {
    const folder = mkdtempSync(join(tmpdir(), 'logsnr-parity-'));
    const file = join(folder, 'rows.json');
    writeFileSync(file, JSON.stringify(rows));
    try {
      return await promisify(execFile)(process.execPath, ['--import', 'tsx', 'parity/main.ts', file], {
        cwd: root,
        env: { ...process.env, TSX_TSCONFIG_PATH: `${root}tsconfig.json` },
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test('prints one JSON line a row and nothing else', async () => {
    const some = [named('DDIM no_noise'), named('Euler karras')];
    const { stdout } = await run(some);
    expect(stdout).toBe(some.map((row) => `${JSON.stringify(runRow(row, float64))}\n`).join(''));
  });

  test('fails on a wrong row before any work, and on one that has no result', async () => {
    const wrong = [named('DDIM no_noise'), { ...named('DDIM v_pred'), scheduler: 'LMS' }];
    await expect(run(wrong)).rejects.toMatchObject({
      code: 1,
      stdout: '',
      stderr: expect.stringContaining('parity: row 1 ("DDIM v_pred"): scheduler is "LMS"; it must be "DDIM", '),
    });
    const noResult = { ...named('Euler no_noise'), betaEnd: 0.999, name: 'all noise' };
    await expect(run([noResult])).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringContaining('parity: "all noise" has no result: '),
    });
  });
});
