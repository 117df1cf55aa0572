import { fold, key, normal, uniforms } from '@logsnr/core';
import { LINEAR, LINEAR_INPUT_GRADIENT, LINEAR_WEIGHT_GRADIENT, ops } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectSameBits } from '../test/threads.js';
import { backendInfo } from './backend.js';
import { compile } from './compile/compile.js';
import { registerTensorflow } from './native.js';

const native = backendInfo()?.backend === 'tensorflow' && (await registerTensorflow()).operations !== null;
type Tensors = Readonly<Record<string, tf.Tensor>>;
const run = (kernel: string, inputs: Tensors): tf.Tensor => tf.engine().runKernel(kernel, inputs as never);

function drawn(rows: number, from: number, to: number, seed: number) {
  const draw = (stream: number, ...shape: number[]) => normal(fold(key(seed), stream), shape);
  const [x, dy, weight] = [draw(0, rows, from), draw(1, rows, to), draw(2, from, to)];
  return { x, dy, weight, bias: draw(3, to), residual: draw(4, rows, to) };
}

/** a b in float64, and the scale of its rounding: |a| |b|. */
function product(a: tf.Tensor, b: tf.Tensor, transposed: { a?: boolean; b?: boolean } = {}) {
  const [left, right] = [transposed.a ? tf.transpose(a) : a, transposed.b ? tf.transpose(b) : b];
  const [x, y] = [left.dataSync(), right.dataSync()];
  const [rows = 0, depth = 0, to = 0] = [...left.shape, right.shape[1] as number];
  const [values, scale] = [new Float64Array(rows * to), new Float64Array(rows * to)];
  for (let r = 0; r < rows; r++)
    for (let k = 0; k < depth; k++)
      for (let o = 0; o < to; o++) {
        const term = (x[r * depth + k] as number) * (y[k * to + o] as number);
        values[r * to + o] = (values[r * to + o] as number) + term;
        scale[r * to + o] = (scale[r * to + o] as number) + Math.abs(term);
      }
  return { values, scale };
}

function expectNear(got: tf.Tensor, { values, scale }: ReturnType<typeof product>, what: string): void {
  expect(got.size, what).toBe(values.length);
  let worst = 0;
  got.dataSync().forEach((value, i) => {
    worst = Math.max(worst, Math.abs(value - (values[i] as number)) / ((scale[i] as number) + 1));
  });
  expect(worst, what).toBeLessThan(1e-6);
}

describe.runIf(native)('linear maps of our own', () => {
  test('of random sizes are those of float64, and so are their gradients', () => {
    const numbers = uniforms(key(3), 1000).values();
    const whole = (low: number, high: number) => low + Math.floor(Number(numbers.next().value) * (high - low + 1));
    const sizes = Array.from({ length: 100 }, () => [whole(1, 70), 16 * whole(1, 6), 16 * whole(1, 9)] as const);
    // Blocks of rows in parts, and parts of a sum.
    for (const [i, [rows, from, to]] of [...sizes, [1300, 32, 80] as const, [2, 64, 896] as const].entries())
      tf.tidy(() => {
        const { x, dy, weight, bias, residual } = drawn(rows, from, to, i);
        const what = `[${rows}, ${from}, ${to}]`;
        const plain = product(x, weight);
        const [b, r] = [bias.dataSync(), residual.dataSync()];
        const values = plain.values.map((value, i) => value + (b[i % to] as number) + (r[i] as number));
        expectNear(run(LINEAR, { x, weight, bias, residual }), { ...plain, values }, `y ${what}`);
        const nothing = tf.tensor1d([]);
        expectNear(run(LINEAR, { x, weight, bias: nothing, residual: nothing }), plain, `y alone ${what}`);
        expectNear(run(LINEAR_INPUT_GRADIENT, { dy, weight }), product(dy, weight, { b: true }), `dx ${what}`);
        expectNear(run(LINEAR_WEIGHT_GRADIENT, { x, dy }), product(x, dy, { a: true }), `dweight ${what}`);
      });
  });

  test('are what `linear` of nn takes, with the gradients of its composed form, eager and compiled', () => {
    const { x, dy, weight, bias, residual } = drawn(60, 32, 48, 1);
    const of = (method?: ops.LinearMethod) =>
      tf.grads((x, weight, bias, residual) =>
        ops.linear(x as tf.Tensor, weight as tf.Tensor2D, { bias, residual }, method),
      );
    const given = [tf.reshape(x, [3, 4, 5, 32]), weight, bias, tf.reshape(residual, [3, 4, 5, 48])];
    const slope = tf.reshape(dy, [3, 4, 5, 48]);
    const expected = of('composed')(given, slope);
    const compiled = compile((given: tf.Tensor[]) => of()(given, slope));
    const kernels: string[] = [];
    const got = tf.engine().profile(() => of()(given, slope));
    for (const gradients of [of()(given, slope), compiled(given)])
      gradients.forEach((gradient, i) => {
        const off = tf.max(tf.abs(tf.sub(gradient, expected[i] as tf.Tensor))).dataSync()[0];
        expect(gradient.shape).toEqual(given[i]?.shape);
        expect(off, `gradient ${i}`).toBeLessThan(1e-4);
      });
    compiled.dispose();
    return got.then((profile) => {
      kernels.push(...profile.kernelNames);
      expect(kernels).toContain(LINEAR);
      expect(kernels).toContain(LINEAR_INPUT_GRADIENT);
      expect(kernels).toContain(LINEAR_WEIGHT_GRADIENT);
    });
  });

  test('in bfloat16 are products of the library’s where they are large, with bias and residual in float32', () => {
    const { x, weight, bias, residual } = drawn(5500, 48, 64, 2);
    const map = (x: tf.Tensor) => [
      ops.linear(x, weight as tf.Tensor2D, { bias, residual: tf.slice(residual, 0, [x.shape[0] as number, 64]) }),
      ops.linear(x, weight as tf.Tensor2D),
      tf.grad((x) => ops.linear(x, weight as tf.Tensor2D, { bias }))(
        x,
        tf.slice(residual, 0, [x.shape[0] as number, 64]),
      ),
      tf.grad((weight) => ops.linear(x, weight as tf.Tensor2D, { bias }))(
        weight,
        tf.slice(residual, 0, [x.shape[0] as number, 64]),
      ),
    ];
    const compiled = compile(map, { precision: 'bfloat16' });
    const [expected, got] = [map(x), compiled(x)];
    got.forEach((tensor, i) => {
      const off = tf.max(tf.abs(tf.sub(tensor, expected[i] as tf.Tensor))).dataSync()[0] as number;
      const scale = tf.max(tf.abs(expected[i] as tf.Tensor)).dataSync()[0] as number;
      expect(off / scale, `result ${i}`).toBeLessThan(0.02);
      expect(off / scale, `result ${i}`).toBeGreaterThan(1e-4);
    });
    // A bias with more digits than bfloat16 has is kept.
    const large = tf.fill([64], 1 + 2 ** -12);
    const zeros = compile((x: tf.Tensor) => ops.linear(x, weight as tf.Tensor2D, { bias: large }), {
      precision: 'bfloat16',
    });
    expect(zeros(tf.zerosLike(x)).dataSync()[5]).toBe(1 + 2 ** -12);
    // Small ones stay as they are.
    const few = tf.slice(x, 0, [5400, 48]);
    const [small, exact] = [compiled(few).slice(1, 2)[0], ops.linear(few, weight as tf.Tensor2D)] as [
      tf.Tensor,
      tf.Tensor,
    ];
    expect(small.dataSync()).toEqual(exact.dataSync());
    compiled.dispose();
    zeros.dispose();
  });

  test('any number of threads gives the same bits', () => {
    expectSameBits(`
      for (const [rows, from, to] of [[1500, 64, 80], [5, 512, 240]]) {
        const [x, dy, weight] = [[rows, from], [rows, to], [from, to]].map((s, i) => normal(key(i), s));
        run(nn.LINEAR, { x, weight, bias: tf.tensor1d([]), residual: dy });
        run(nn.LINEAR_INPUT_GRADIENT, { dy, weight });
        run(nn.LINEAR_WEIGHT_GRADIENT, { x, dy });
      }`);
  });
});
