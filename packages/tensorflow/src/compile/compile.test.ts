import { key, normal } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { backendInfo } from '../backend.js';
import { nativeBackend } from '../native.js';
import { compile } from './compile.js';
import { record } from './record.js';
import { newRecording } from './recording.js';

const native = backendInfo()?.backend === 'tensorflow';
const shape = (...sizes: number[]) => normal(key(sizes.length), sizes);
const difference = (a: tf.Tensor, b: tf.Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] as number;

/** A small network's loss and gradients: convolutions, normalization, attention, reductions, broadcasts, constants. */
function lossAndGradients(x: tf.Tensor4D, kernel: tf.Tensor4D) {
  return tf.tidy(() => {
    const loss = (x: tf.Tensor4D, kernel: tf.Tensor4D) => {
      const h = tf.conv2d(x, kernel, 1, 'same');
      const centred = tf.sub(h, tf.mean(h, [1, 2], true));
      const scaled = tf.mul(centred, tf.rsqrt(tf.add(tf.mean(tf.square(centred), [1, 2], true), 1e-5)));
      const tokens = tf.reshape(tf.mul(scaled, tf.sigmoid(scaled)), [x.shape[0], -1, kernel.shape[3]]);
      const weights = tf.softmax(tf.mul(tf.matMul(tokens, tokens, false, true), 0.25));
      const out = tf.add(tf.matMul(weights, tokens), tf.add(tokens, tf.ones(tokens.shape.slice(1))));
      return tf.mean(tf.square(tf.concat([out, tf.slice(out, [0, 0, 0], [1, -1, -1])], 0))) as tf.Scalar;
    };
    const { value, grads } = tf.valueAndGrads(loss as (...args: tf.Tensor[]) => tf.Scalar)([x, kernel]);
    return { value, grads: grads as [tf.Tensor, tf.Tensor] };
  });
}

describe.runIf(native)('a compiled function', () => {
  const [x, kernel] = [shape(2, 8, 8, 4) as tf.Tensor4D, shape(3, 3, 4, 4) as tf.Tensor4D];

  test('agrees with eager to 1e-5, gradients included, whatever was compiled before', () => {
    const eager = lossAndGradients(x, kernel);
    for (let again = 0; again < 2; again++) {
      const compiled = compile(lossAndGradients);
      for (let call = 0; call < 2; call++) {
        const found = compiled(x, kernel);
        expect(difference(found.value, eager.value)).toBeLessThan(1e-5);
        found.grads.forEach((grad, i) => {
          expect(difference(grad, eager.grads[i] as tf.Tensor)).toBeLessThan(1e-5);
        });
      }
      expect(compiled.captures()).toBe(1);
      compiled.dispose();
    }
  });

  test('depends on its arguments, not on those of the capture', () => {
    const compiled = compile((a: tf.Tensor, b: tf.Tensor) => tf.tidy(() => tf.sub(tf.square(a), b)));
    compiled(tf.tensor1d([1, 2]), tf.scalar(1));
    expect([...compiled(tf.tensor1d([3, 4]), tf.scalar(2)).dataSync()]).toEqual([7, 14]);
  });

  test('tells apart two arguments that share their data', () => {
    const compiled = compile((a: tf.Tensor, b: tf.Tensor) => tf.sub(a, b));
    const shared = tf.tensor1d([1, 2]);
    expect([...compiled(shared, shared.clone()).dataSync()]).toEqual([0, 0]);
    expect([...compiled(tf.tensor1d([5, 5]), shared).dataSync()]).toEqual([4, 3]);
  });

  test('takes and returns nested containers, with other values carried along', () => {
    const compiled = compile(({ a, b }: { a: tf.Tensor; b: [tf.Tensor, number] }) => ({
      sum: tf.mul(tf.add(a, b[0]), b[1]),
      list: [a, 7, 'text'],
    }));
    const result = compiled({ a: tf.scalar(1), b: [tf.scalar(2), 10] });
    expect(result.sum.dataSync()[0]).toBe(30);
    expect([(result.list[0] as tf.Tensor).dataSync()[0], result.list[1], result.list[2]]).toEqual([1, 7, 'text']);
    expect(compiled({ a: tf.scalar(1), b: [tf.scalar(2), 100] }).sum.dataSync()[0]).toBe(300);
    expect(compiled.captures()).toBe(2);
  });

  test('captures anew for another shape, type or constant, and keeps a bounded number of graphs', () => {
    const compiled = compile((a: tf.Tensor) => tf.add(a, a), { cacheSize: 2 });
    const call = (...sizes: number[]) =>
      expect(tf.sum(compiled(tf.ones(sizes))).dataSync()[0]).toBe(2 * sizes.reduce((p, s) => p * s, 1));
    call(2);
    call(3);
    call(2);
    expect(compiled.captures()).toBe(2);
    call(4); // drops the graph for [3]
    call(2);
    expect(compiled.captures()).toBe(3);
    call(3);
    expect(compiled.captures()).toBe(4);
    compiled(tf.ones([2], 'int32'));
    expect(compiled.captures()).toBe(5);
  });

  test('compiles a gather and its gradient, as for an embedding of classes', () => {
    const table = shape(5, 3);
    const loss = (table: tf.Tensor, classes: tf.Tensor1D) =>
      tf.tidy(() => tf.grad((t: tf.Tensor) => tf.sum(tf.square(tf.gather(t, classes))))(table));
    const compiled = compile(loss);
    for (const classes of [
      [4, 0, 4, 1],
      [2, 2, 3, 0],
    ]) {
      const c = tf.tensor1d(classes, 'int32');
      const gradient = compiled(table, c).arraySync() as number[][];
      const rows = table.arraySync() as number[][];
      gradient.forEach((row, k) => {
        const times = classes.filter((wanted) => wanted === k).length;
        row.forEach((value, i) => {
          expect(value).toBeCloseTo(2 * times * (rows[k]?.[i] as number), 5);
        });
      });
    }
    expect(compiled.captures()).toBe(1);
    expect(() => tf.gather(table, tf.tensor1d([5], 'int32')).dataSync()).toThrow(/not in \[0, 5\)/);
    const outside = tf.tensor1d([0, 1, 2, 5], 'int32');
    expect(() => compiled(table, outside)).toThrow(/^compile: tf.gather: .*not in \[0, 5\)/);
    compiled.dispose();
  });

  test('takes typed arrays by their bytes, and objects without a prototype as plain ones', () => {
    const scale = compile((a: tf.Tensor, by: Float32Array) => tf.mul(a, tf.tensor1d(by)));
    const by = Float32Array.of(1, 2);
    expect([...scale(tf.scalar(3), by).dataSync()]).toEqual([3, 6]);
    by[0] = 10;
    expect([...scale(tf.scalar(3), by).dataSync()]).toEqual([30, 6]);
    expect(scale.captures()).toBe(2);
    const bare = Object.assign(Object.create(null), { w: tf.scalar(2), n: 1 });
    const product = compile((a: tf.Tensor, { w, n }: { w: tf.Tensor; n: number }) => tf.mul(tf.mul(a, w), n));
    expect(product(tf.scalar(3), bare).dataSync()[0]).toBe(6);
    Object.assign(bare, { w: tf.scalar(5), n: 2 });
    expect(product(tf.scalar(3), bare).dataSync()[0]).toBe(30);
  });

  test('gives its caller arrays of his own', () => {
    const compiled = compile((a: tf.Tensor) => ({ a, numbers: Float32Array.of(1) }));
    compiled(tf.scalar(1)).numbers[0] = 7;
    expect(compiled(tf.scalar(1)).numbers[0]).toBe(1);
  });

  test('takes a closed-over variable as it is, also after it was assigned', () => {
    const [small, large] = [tf.variable(tf.scalar(2)), tf.variable(tf.ones([400]))];
    const compiled = compile((a: tf.Tensor) => tf.tidy(() => tf.mul(tf.mul(a, small), tf.sum(large))));
    const product = () => compiled(tf.scalar(1)).dataSync()[0];
    expect([product(), product()]).toEqual([800, 800]);
    expect(compiled.captures()).toBe(1);
    small.assign(tf.scalar(3));
    expect(product()).toBe(1200);
    large.assign(tf.zeros([400]));
    expect([product(), product()]).toEqual([0, 0]);
    expect(compiled.captures()).toBe(3);
    tf.dispose([small, large]);
  });

  test('may have a result without tensors', () => {
    const rank = compile((a: tf.Tensor) => ({ rank: a.rank }));
    for (let call = 0; call < 2; call++) expect(rank(tf.ones([2, 3]))).toEqual({ rank: 2 });
  });

  test('takes and returns complex numbers, and returns what it closes over', () => {
    const outside = [tf.tensor1d([1, 2]), shape(400)];
    const compiled = compile((z: tf.Tensor) => ({ z: tf.fft(z), outside }));
    const z = () => tf.complex(tf.tensor1d([1, 2, 3, 4]), tf.tensor1d([0, 1, 0, -1]));
    for (let call = 0; call < 2; call++) {
      const found = compiled(z());
      expect([...found.z.dataSync()]).toEqual([...tf.fft(z()).dataSync()]);
      found.outside.forEach((tensor, i) => {
        expect(tensor).not.toBe(outside[i]);
        expect(difference(tensor, outside[i] as tf.Tensor)).toBe(0);
        tensor.dispose();
      });
    }
  });

  test('takes the mean of integers', () => {
    const compiled = compile((a: tf.Tensor) => tf.mean(a));
    expect(compiled(tf.tensor1d([1, 2], 'int32')).dataSync()[0]).toBe(1.5);
  });

  test('closes over tensors, small and large', () => {
    const [small, large] = [tf.scalar(3), shape(64, 64)];
    const compiled = compile((a: tf.Tensor) => tf.tidy(() => tf.add(tf.mul(a, small), large)));
    const a = shape(1, 64);
    for (let call = 0; call < 2; call++) expect(difference(compiled(a), tf.add(tf.mul(a, 3), large))).toBe(0);
  });

  test('closes over tensors that were never used before, and makes large constants of its own', () => {
    const numbers = Float32Array.from({ length: 400_000 }, (_, i) => i % 7);
    const fresh = tf.tensor2d(numbers.slice(), [200_000, 2]);
    const compiled = compile((a: tf.Tensor) =>
      tf.tidy(() => tf.add(tf.mul(a, fresh), tf.tensor2d(numbers, [200_000, 2]))),
    );
    for (let call = 0; call < 2; call++) expect(tf.max(compiled(tf.scalar(3))).dataSync()[0]).toBe(6 * 3 + 6);
    compiled.dispose();
  });

  test('puts no large constant into the graph', () => {
    const recording = newRecording();
    const weights = shape(128, 128);
    tf.tidy(() =>
      record(nativeBackend(), recording, () =>
        tf.matMul(tf.add(tf.zeros([128, 128]), tf.ones([128, 128])), weights as tf.Tensor2D),
      ),
    );
    const sizes = recording.nodes.map(({ attr }) => attr.value?.tensor?.content.byteLength ?? 0);
    expect(Math.max(...sizes)).toBeLessThan(100);
    expect(recording.lifted).toHaveLength(1);
    nativeBackend()
      .createOutputTensor(recording.lifted[0] as never)
      .dispose();
  });

  test('leaks no tensor and stays in memory over 1,000 calls', () => {
    const compiled = compile(lossAndGradients);
    tf.dispose(compiled(x, kernel) as never);
    const [tensors, handles] = [tf.memory().numTensors, nativeBackend().binding.getNumOfTensors()];
    for (let call = 0; call < 20; call++) tf.dispose(compiled(x, kernel) as never);
    expect(tf.memory().numTensors).toBe(tensors);
    expect(nativeBackend().binding.getNumOfTensors()).toBe(handles);
    compiled.dispose();
    const double = compile((a: tf.Tensor) => tf.add(a, a));
    const a = tf.ones([1024, 256]); // 1 MiB: a leak of one a call would be 1 GiB
    for (let call = 0; call < 50; call++) double(a).dispose();
    const before = process.memoryUsage().rss;
    for (let call = 0; call < 1000; call++) double(a).dispose();
    expect(process.memoryUsage().rss - before).toBeLessThan(200 * 2 ** 20);
  });

  test('in bfloat16 is near float32, and not the same', () => {
    const eager = lossAndGradients(x, kernel);
    const narrow = compile(lossAndGradients, { precision: 'bfloat16' })(x, kernel);
    const error =
      difference(narrow.grads[1], eager.grads[1]) / (tf.max(tf.abs(eager.grads[1])).dataSync()[0] as number);
    expect(error).toBeLessThan(0.03);
    expect(error).toBeGreaterThan(0);
  });

  test('can be disposed of and called again', () => {
    const compiled = compile((a: tf.Tensor) => tf.neg(a));
    compiled(tf.scalar(1));
    compiled.dispose();
    expect(compiled(tf.scalar(2)).dataSync()[0]).toBe(-2);
    expect(compiled.captures()).toBe(2);
  });
});

test('options out of range are refused', () => {
  expect(() => compile((a: tf.Tensor) => a, { cacheSize: 0 })).toThrow(
    'cacheSize is 0; it must be an integer of at least 1.',
  );
  expect(() => compile((a: tf.Tensor) => a, { precision: 'half' as 'float32' })).toThrow(/precision is "half"/);
});

test('on another backend it is the function itself', async () => {
  const before = tf.getBackend();
  await import('@tensorflow/tfjs-backend-cpu');
  await tf.setBackend('cpu');
  try {
    const compiled = compile((a: tf.Tensor) => tf.mul(a, a.dataSync()[0] as number));
    const a = tf.scalar(3);
    const tensors = tf.memory().numTensors;
    const result = compiled(a);
    expect(tf.memory().numTensors).toBe(tensors + 1);
    expect(result.dataSync()[0]).toBe(9);
    expect(compiled.captures()).toBe(0);
  } finally {
    await tf.setBackend(before);
  }
});
