import { afterEach, describe, expect, test } from 'vitest';
import type { Prefetched } from './prefetch.js';
import { batchWorker } from './worker.js';

const module = new URL('../test/fixtures/worker.mjs', import.meta.url);

test('a thread prepares batches and its errors arrive', async () => {
  const next = batchWorker<{ values: Float32Array; thread: number }>(module, { data: { scale: 3 } });
  const { values, thread } = await next(2);
  expect([...values]).toEqual([0, 6]);
  expect(thread).toBeGreaterThan(0);
  await next(3);
  await expect(next(4)).rejects.toThrow('no more data at step 4');
  await next.stop();
});

test('the next batch is made while this thread does something else', async () => {
  const made = new SharedArrayBuffer(4);
  const next = batchWorker<{ values: Float32Array }>(module, {
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

describe('what a thread cannot send is said, and never waited for', { timeout: 20_000 }, () => {
  let next: Prefetched<Record<string, never>>;
  const start = (kind: string, at = module) => {
    next = batchWorker(at, { data: { kind } });
    return next;
  };
  afterEach(() => next.stop());

  test('arrays that the thread uses again arrive as they were at each step', async () => {
    start('reused');
    for (const step of [0, 1, 2]) {
      const { values, deep } = await next(step);
      expect(values).toEqual(new Float32Array(6).fill(step));
      expect(deep).toEqual([{ part: new Float32Array(2).fill(step) }]);
    }
    await next.stop();
    start('written');
    for (const step of [3, 4]) expect((await next(step)).values).toEqual(Float32Array.of(step, 1, 2, 3, 4, 5));
  });

  test('buffers and views arrive alone, without what they are cut from', async () => {
    const { values, view, none } = (await start('buffer')(0)) as Record<string, unknown>;
    expect(values).toEqual(new Uint8Array([97, 98, 99]));
    expect((view as DataView).buffer.byteLength).toBe(4);
    expect((view as DataView).getFloat32(0, true)).toBe(1);
    expect(none).toBe(null);
  });

  test('a result that cannot be sent', async () => {
    await expect(start('function')(2)).rejects.toThrow(
      /^the data of step 2 cannot go from one thread to another: .*could not be cloned\. Return plain objects, numbers/,
    );
  });

  test('errors that cannot be sent arrive with their name, message and place', async () => {
    const error = await start('withCause')(0).then(String, (error) => error);
    expect(error).toBeInstanceOf(Error);
    expect([error.name, error.message]).toEqual(['TypeError', 'no image']);
    expect(error.stack).toMatch(/worker\.mjs/);
  });

  test('what is thrown and is no error', async () => {
    await expect(start('object')(0)).rejects.toThrow('{ code: 7, of: [Function: of] }');
    await next.stop();
    await expect(start('nothing')(0)).rejects.toThrow('undefined');
    await next.stop();
    await expect(start('never made')(0)).rejects.toThrow('{ code: 8, of: [Function: of] }');
  });

  test('a thread that ends, or does not begin, at every step that is asked for', async () => {
    start('leaves');
    for (const step of [0, 5]) await expect(next(step)).rejects.toThrow(/worker\.mjs ended with exit code 3/);
    await next.stop();
    start('none', new URL('./none.mjs', import.meta.url));
    await expect(next(0)).rejects.toThrow(/Cannot find module.*none\.mjs/);
    // The thread has ended by then; what ended it is still what is said.
    await next.stop();
    await expect(next(5)).rejects.toThrow(/Cannot find module.*none\.mjs/);
  });

  test('a step that is asked for twice is answered twice', async () => {
    next = batchWorker(module, { data: { scale: 2 } });
    const [first, second] = await Promise.all([next(1), next(1)]);
    expect([first, second].map(({ values }) => values)).toEqual([Float32Array.of(0, 2), Float32Array.of(0, 2)]);
  });
});
