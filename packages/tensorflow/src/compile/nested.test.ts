import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { backendInfo } from '../backend.js';
import { nativeBackend } from '../native.js';
import { compile } from './compile.js';

const numbers = (tensor: tf.Tensor) => [...tensor.dataSync()];

describe.runIf(backendInfo()?.backend === 'tensorflow')('a compiled function inside another', () => {
  test('becomes part of its graph, whether it was compiled before or not', () => {
    const weights = tf.tensor1d(Array.from({ length: 400 }, (_, i) => i));
    const inner = compile((a: tf.Tensor) => tf.mul(a, weights));
    for (const before of [false, true]) {
      if (before) inner(tf.scalar(1));
      const outer = compile((a: tf.Tensor) => tf.tidy(() => tf.add(inner(tf.neg(a)), a)));
      for (const a of [1, 2]) expect(numbers(outer(tf.scalar(a))).slice(0, 3)).toEqual([a, 0, -a]);
    }
    expect(inner.captures()).toBe(1);
  });

  test("may close over a result of the outer one's operations, and be made there", () => {
    const outer = compile((a: tf.Tensor) =>
      tf.tidy(() => {
        const square = tf.square(a);
        const inner = compile((b: tf.Tensor) => tf.add(b, square));
        return inner(inner(a));
      }),
    );
    for (const a of [1, 3]) expect(numbers(outer(tf.scalar(a)))).toEqual([a + 2 * a * a]);
  });

  test('has its gradient', () => {
    const inner = compile((a: tf.Tensor) => tf.mul(a, tf.exp(a)));
    const slope = compile((a: tf.Tensor) => tf.tidy(() => tf.grad((a: tf.Tensor) => tf.sum(inner(a)))(a)));
    expect(numbers(slope(tf.tensor1d([0, 1])))[1]).toBeCloseTo(2 * Math.E, 5);
  });

  test('under an eager gradient is part of it', () => {
    const square = compile((a: tf.Tensor) => tf.square(a));
    square(tf.scalar(3));
    const slope = tf.grad((a: tf.Tensor) => tf.add(square(a), a));
    expect(numbers(slope(tf.scalar(3)))).toEqual([7]);
  });

  test('borrows its arguments and owns its results, which may be those arguments', () => {
    const inner = compile((a: tf.Tensor) => ({ a, twice: tf.add(a, tf.mul(a, 1)) }));
    const outer = compile((a: tf.Tensor) => {
      const { a: same, twice } = inner(a);
      const sum = tf.add(twice, same);
      tf.dispose([same, twice]);
      return tf.add(sum, a);
    });
    const a = tf.scalar(2);
    const counts = () => [tf.memory().numTensors, nativeBackend().binding.getNumOfTensors()];
    outer(a).dispose();
    const before = counts();
    const result = outer(a);
    expect(numbers(result)).toEqual([8]);
    result.dispose();
    expect(counts()).toEqual(before);
  });

  test('keeps its precision in a function of full precision', () => {
    const a = tf.fill([2, 2], 1 + 2 ** -10); // one more digit than bfloat16 has
    const product = (a: tf.Tensor) => tf.matMul(a as tf.Tensor2D, a as tf.Tensor2D);
    const inner = compile(product, { precision: 'bfloat16' });
    const outer = compile((a: tf.Tensor) => [inner(a), product(a), inner(a)]);
    const [narrow, full, again] = outer(a).map((tensor) => tensor.dataSync()[0] as number);
    expect(narrow).toBe(2);
    expect(full).toBeCloseTo(2 * (1 + 2 ** -10) ** 2, 6);
    expect(again).toBe(2);
  });
});
