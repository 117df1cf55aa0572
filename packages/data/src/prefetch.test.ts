import { expect, test } from 'vitest';
import { prefetch } from './prefetch.js';

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
