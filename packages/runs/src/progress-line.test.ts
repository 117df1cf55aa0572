import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { progressLine } from './progress-line.js';

const report = (step: number, loss: number, seconds: number) => ({
  step,
  loss,
  progress: step / 100,
  seconds,
  imagesPerSecond: 64,
});

test('a stream that is no terminal gets a plain line every ten seconds, and the last one', async () => {
  const stream = new PassThrough();
  const progress = await progressLine({ stream, label: 'run' });
  progress.update(report(1, 0.5, 1));
  progress.update(report(2, 0.5, 5));
  progress.update(report(10, 0.5, 11));
  progress.update(report(50, 0.5, 12));
  progress.stop();
  progress.stop();
  expect(
    stream
      .read()
      .toString()
      .replaceAll(/\d+ MiB/g, 'M'),
  ).toBe(
    [
      'run 1% | step 1 | loss 0.5000 | 64 images/s | 1 min 39 s left | M\n',
      'run 10% | step 10 | loss 0.5000 | 64 images/s | 1 min 39 s left | M\n',
      'run 50% | step 50 | loss 0.5000 | 64 images/s | 12 s left | M\n',
    ].join(''),
  );
});

test('the loss shown is a mean that leans to recent steps', async () => {
  const stream = new PassThrough();
  const progress = await progressLine({ stream, every: 0 });
  progress.update(report(1, 1, 1));
  progress.update(report(2, 0, 2));
  const shown = [
    ...stream
      .read()
      .toString()
      .matchAll(/loss ([\d.]+)/g),
  ].map((match) => Number(match[1]));
  expect(shown).toEqual([1, 0.4949]);
});

test('a terminal gets a bar', async () => {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 200 });
  const progress = await progressLine({ stream, unit: 'digits' });
  progress.update(report(50, 0.25, 60));
  progress.update(report(100, 0.25, 120));
  progress.stop();
  const text = stream.read().toString();
  expect(text).toContain('training');
  expect(text).toContain('50% | step 50 | loss 0.2500 | 64 digits/s | 1 min 0 s left');
  expect(text).toContain('100% | step 100');
});

test('the terminal of a process that is ended while the bar is shown keeps its cursor and wraps its lines', async () => {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns: 200 });
  const progress = await progressLine({ stream });
  progress.update(report(50, 0.25, 60));
  const text = stream.read().toString();
  for (const off of ['[?25l', '[?7l']) expect(text).not.toContain(off);
  progress.stop();
});

test('the share of waiting and skipped steps are shown, and a skipped loss does not stay in the mean', async () => {
  const stream = new PassThrough();
  const progress = await progressLine({ stream, every: 0 });
  // 64 images at 64 a second: a second, of which a quarter was waited.
  progress.update({ ...report(1, 0.5, 1), wait: 0.25, images: 64, skipped: 0 });
  progress.update({ ...report(2, Number.NaN, 2), wait: 0.25, images: 64, skipped: 1 });
  const [first, second] = stream.read().toString().split('\n');
  expect(first).toMatch(/loss 0\.5000 .* \d+ MiB \| waits 25%$/);
  expect(second).toMatch(/step 2 \| loss 0\.5000 .* waits 25% \| 1 skipped$/);
});

test('a stream that fails, or throws, ends nothing', async () => {
  for (const isTTY of [true, false]) {
    const closed = Object.assign(new PassThrough(), { isTTY, columns: 200 });
    const throws = Object.assign(new PassThrough(), { isTTY, columns: 200 });
    throws.write = () => {
      throw new Error('EPIPE');
    };
    for (const stream of [closed, throws]) {
      const progress = await progressLine({ stream, every: 0 });
      closed.destroy(new Error('EPIPE'));
      await new Promise((done) => setImmediate(done));
      progress.update(report(50, 0.25, 60));
      progress.update(report(51, 0.25, 61));
      progress.stop();
    }
  }
});

test('for machines: lines of JSON, or nothing', async () => {
  const stream = Object.assign(new PassThrough(), { isTTY: true });
  const progress = await progressLine({ stream, mode: 'json', label: 'run' });
  progress.update({ ...report(1, 0.5, 1), wait: 0.1, images: 64, skipped: 2 });
  progress.update(report(2, 0.5, 2));
  progress.stop();
  const lines = stream
    .read()
    .toString()
    .trim()
    .split('\n')
    .map((line: string) => JSON.parse(line));
  expect(lines).toHaveLength(2);
  const { memory, left, ...rest } = lines[0];
  expect(rest).toEqual({
    label: 'run',
    step: 1,
    progress: 0.01,
    loss: 0.5,
    imagesPerSecond: 64,
    seconds: 1,
    wait: 0.1,
    skipped: 2,
  });
  expect(left).toBeCloseTo(99, 9);
  expect(memory).toBeGreaterThan(2 ** 20);

  const quiet = await progressLine({ stream, mode: 'quiet' });
  quiet.update(report(1, 0.5, 1));
  quiet.stop();
  expect(stream.read()).toBe(null);
  await expect(progressLine({ mode: 'loud' as never })).rejects.toThrow(/mode is "loud"/);
});
