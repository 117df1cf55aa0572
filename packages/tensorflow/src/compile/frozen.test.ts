import { key, normal } from '@logsnr/core';
import { ops } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { backendInfo } from '../backend.js';
import { nativeBackend, registerTensorflow } from '../native.js';
import { CONV_3X3_TRANSFORMED } from '../operations.js';
import { compile } from './compile.js';
import { savedModels } from './loader.js';
import type { Node } from './proto.js';
import { session } from './session.js';

const native = backendInfo()?.backend === 'tensorflow' && (await registerTensorflow()).operations !== null;
const random = <T extends tf.Tensor = tf.Tensor4D>(seed: number, ...shape: number[]) => normal(key(seed), shape) as T;
const difference = (a: tf.Tensor, b: tf.Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] as number;

/** A loader that counts the operations of the graphs that it loads. */
function counting() {
  const nodes: Node[] = [];
  const loader = {
    load(given: readonly Node[]) {
      nodes.splice(0, nodes.length, ...given);
      return savedModels.load(given);
    },
  };
  const count = (op: string) => nodes.filter((node) => node.op === op).length;
  const frozen = () => count(CONV_3X3_TRANSFORMED);
  return { loader, count, frozen };
}

describe.runIf(native)('a compiled convolution by a kernel that no replay changes', () => {
  const [x, kernel, bias] = [random(1, 2, 9, 7, 16), random(2, 3, 3, 16, 32), random<tf.Tensor1D>(3, 32)];
  const residual = random(4, 2, 9, 7, 32);
  const others = { one: random(8, 1, 1, 16, 32), eight: random(8, 3, 3, 16, 8), wide: random(8, 3, 3, 320, 320) };

  test('has its filters transformed once, and gives the bits of the eager one', () => {
    const { loader, count, frozen } = counting();
    const convolve = (x: tf.Tensor4D) => ops.conv2d(x, kernel, { bias, residual });
    const compiled = compile(convolve, { loader });
    for (const seed of [1, 5]) {
      const given = random(seed, 2, 9, 7, 16);
      expect(compiled(given).dataSync()).toEqual(convolve(given).dataSync());
    }
    expect([frozen(), count('LogsnrConv3x3'), count('Conv2D')]).toEqual([1, 0, 0]);
    compiled.dispose();
  });

  test('also where it is one of TensorFlow.js, and its gradient by the image', () => {
    const { loader, count, frozen } = counting();
    const dy = random(6, 2, 9, 7, 32);
    const convolve = (x: tf.Tensor4D) => ({
      y: tf.conv2d(x, kernel, 1, 'same'),
      dx: tf.grad((x) => tf.conv2d(x as tf.Tensor4D, kernel, 1, 'same'))(x, dy),
      own: tf.grad((x) => ops.conv2d(x as tf.Tensor4D, kernel))(x, dy),
    });
    const compiled = compile(convolve, { loader });
    const [got, expected] = [compiled(x), convolve(x)];
    for (const name of ['y', 'dx', 'own'] as const)
      expect(difference(got[name], expected[name]), name).toBeLessThan(1e-4);
    expect(tf.max(tf.abs(expected.dx)).dataSync()[0]).toBeGreaterThan(10);
    expect(count('Conv2DBackpropInput') + count('LogsnrConv3x3InputGrad') + count('Conv2D')).toBe(0);
    // Three forward passes and two gradients, by the filters of one kernel, plain and turned.
    expect(frozen()).toBe(5);
    // The two, and dy.
    expect(count('VarHandleOp')).toBe(3);
    compiled.dispose();
  });

  test('also where the kernel is computed from what does not change', () => {
    const { loader, frozen } = counting();
    const convolve = (x: tf.Tensor4D) => tf.tidy(() => ops.conv2d(x, tf.mul(kernel, 2)));
    const compiled = compile(convolve, { loader });
    expect(compiled(x).dataSync()).toEqual(convolve(x).dataSync());
    expect(frozen()).toBe(1);
    compiled.dispose();
  });

  test('follows an assignment to a variable', () => {
    const weights = tf.variable(kernel);
    const { loader, frozen } = counting();
    const convolve = (x: tf.Tensor4D) => ops.conv2d(x, weights as tf.Tensor4D);
    const compiled = compile(convolve, { loader });
    compiled(x).dispose();
    weights.assign(tf.neg(kernel));
    expect(compiled(x).dataSync()).toEqual(convolve(x).dataSync());
    expect([compiled.captures(), frozen()]).toEqual([2, 1]);
    compiled.dispose();
    weights.dispose();
  });

  test('and one whose kernel is an argument or a state takes the kernel itself', () => {
    const { loader, frozen, count } = counting();
    const compiled = compile((x: tf.Tensor4D, kernel: tf.Tensor4D) => ops.conv2d(x, tf.mul(kernel, 2)), { loader });
    compiled(x, kernel).dispose();
    const other = random(7, 3, 3, 16, 32);
    expect(compiled(x, other).dataSync()).toEqual(ops.conv2d(x, tf.mul(other, 2)).dataSync());
    expect([frozen(), count('LogsnrConv3x3')]).toEqual([0, 1]);
    compiled.dispose();

    const step = (kernel: tf.Tensor4D, x: tf.Tensor4D) => ({
      state: tf.mul(kernel, 2) as tf.Tensor4D,
      result: ops.conv2d(x, kernel),
    });
    const run = session(step, kernel, { loader });
    run.run(x).dispose();
    expect(run.run(x).dataSync()).toEqual(ops.conv2d(x, tf.mul(kernel, 2)).dataSync());
    expect(frozen()).toBe(0);
    run.dispose();
  });

  test.each<[string, (x: tf.Tensor4D) => tf.Tensor]>([
    ['a stride', (x) => tf.conv2d(x, kernel, 2, 'same')],
    ['no zeros around', (x) => tf.conv2d(x, kernel, 1, 'valid')],
    ['a dilation', (x) => tf.conv2d(x, kernel, 1, 'same', 'NHWC', 2)],
    ['1×1 pixels', (x) => tf.conv2d(x, others.one, 1, 'same')],
    ['channels that are no multiple of 16', (x) => tf.conv2d(x, others.eight, 1, 'same')],
    ['tiles hardly filled', (x) => tf.conv2d(tf.slice(x, 0, [2, 1, 1, 16]), kernel, 1, 'same')],
    ['too many tiles', (x) => tf.conv2d(tf.tile(x, [64, 2, 2, 1]), kernel, 1, 'same')],
    ['too many weights', (x) => tf.conv2d(tf.tile(x, [1, 1, 1, 20]), others.wide, 1, 'same')],
  ])('with %s it is the library’s', (_, convolve) => {
    const { loader, frozen, count } = counting();
    const compiled = compile((x: tf.Tensor4D) => tf.tidy(() => convolve(x)), { loader });
    const [got, expected] = [compiled(x), convolve(x)];
    expect(difference(got, expected)).toBeLessThan(1e-3);
    expect([frozen(), count('Conv2D')]).toEqual([0, 1]);
    compiled.dispose();
  });

  test('leaves no tensor behind, nor where the capture fails', () => {
    const { binding } = nativeBackend();
    const wide = random(9, 3, 3, 32, 16);
    tf.add(wide, 0).dataSync();
    const before = binding.getNumOfTensors();
    const compiled = compile((x: tf.Tensor4D) => ops.conv2d(x, kernel));
    compiled(x).dispose();
    compiled.dispose();
    const wrong = compile((x: tf.Tensor4D) => ops.conv2d(tf.reshape(x, [-1, 3, 7, 48]), wide));
    expect(() => tf.tidy(() => wrong(x))).toThrow(/channels|depth/);
    expect(binding.getNumOfTensors()).toBe(before);
  });
});
