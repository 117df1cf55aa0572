import { expect, test } from 'vitest';
import { prefetch } from './prefetch.js';
import { batchWorker } from './worker.js';

test('the next steps are begun before they are asked for, each once', async () => {
  const begun: number[] = [];
  const next = prefetch(
    async (step) => {
      begun.push(step);
      return step * 10;
    },
    { ahead: 2 },
  );
  expect(await next(5)).toBe(50);
  expect(begun).toEqual([5, 6, 7]);
  expect(await next(6)).toBe(60);
  expect(begun).toEqual([5, 6, 7, 8]);
  await next.stop();
});

test('what is not wanted after all is released', async () => {
  const released: number[] = [];
  const next = prefetch(async (step) => step, { ahead: 1, release: (result) => released.push(result) });
  await next(0);
  await next(7);
  await next.stop();
  expect(released.sort()).toEqual([1, 8]);
});

test('an error reaches the step that it is of', async () => {
  const next = prefetch(async (step) => {
    if (step === 2) throw new Error('no step 2');
    return step;
  });
  expect(await next(1)).toBe(1);
  await expect(next(2)).rejects.toThrow('no step 2');
  expect(await next(3)).toBe(3);
  await next.stop();
});

test('a thread prepares batches and its errors arrive', async () => {
  const next = batchWorker<{ values: Float32Array; thread: number }>(
    new URL('../test/fixtures/worker.mjs', import.meta.url),
    { data: { scale: 3 } },
  );
  const { values, thread } = await next(2);
  expect([...values]).toEqual([0, 6]);
  expect(thread).toBeGreaterThan(0);
  await next(3);
  await expect(next(4)).rejects.toThrow('no more data at step 4');
  await next.stop();
});

test('the next batch is made while this thread does something else', async () => {
  const made = new SharedArrayBuffer(4);
  const next = batchWorker<{ values: Float32Array }>(new URL('../test/fixtures/worker.mjs', import.meta.url), {
    data: { scale: 1, made },
    ahead: 1,
  });
  await next(0);
  // This thread is blocked, as by a step of training, until the other one has made step 1, which nobody waits for yet.
  const outcome = Atomics.wait(new Int32Array(made), 0, 0, 20_000);
  expect(['ok', 'not-equal']).toContain(outcome);
  expect(new Int32Array(made)[0]).toBe(1);
  expect([...(await next(1)).values]).toEqual([0, 1]);
  await next.stop();
});
