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
  expect(stream.read().toString()).toBe(
    [
      'run 1% | step 1 | loss 0.5000 | 64 images/s | 1 min 39 s left\n',
      'run 10% | step 10 | loss 0.5000 | 64 images/s | 1 min 39 s left\n',
      'run 50% | step 50 | loss 0.5000 | 64 images/s | 12 s left\n',
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
