import { fold, key, normal, uniforms } from '@logsnr/core';
import { CONV_3X3, CONV_3X3_FILTER_GRADIENT, CONV_3X3_INPUT_GRADIENT, ops } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectSameBits } from '../test/threads.js';
import { backendInfo } from './backend.js';
import { compile } from './compile/compile.js';

type Tensors = Readonly<Record<string, tf.Tensor>>;
const run = (kernel: string, inputs: Tensors): tf.Tensor => tf.engine().runKernel(kernel, inputs as never);

interface Size {
  n: number;
  h: number;
  w: number;
  from: number;
  to: number;
}

/** Random inputs of a size, and the results of the three operations. */
function results({ n, h, w, from, to }: Size, seed: number) {
  const draw = (stream: number, ...shape: number[]) => normal(fold(key(seed), stream), shape);
  const [x, dy] = [draw(0, n, h, w, from), draw(1, n, h, w, to)];
  const [kernel, bias, residual] = [draw(2, 3, 3, from, to), draw(3, to), draw(4, n, h, w, to)];
  const y = run(CONV_3X3, { x, kernel, bias, residual });
  const dx = run(CONV_3X3_INPUT_GRADIENT, { dy, kernel });
  const dkernel = run(CONV_3X3_FILTER_GRADIENT, { x, dy });
  return { x, dy, kernel, bias, residual, y, dx, dkernel };
}

/** The same by the definition, in float64. */
function reference({ n, h, w, from, to }: Size, inputs: Tensors) {
  const at = (name: string) => Float64Array.from((inputs[name] as tf.Tensor).dataSync());
  const [x, dy, kernel, bias] = [at('x'), at('dy'), at('kernel'), at('bias')];
  const [y, dx, dkernel] = [at('residual'), new Float64Array(x.length), new Float64Array(kernel.length)];
  for (let i = 0; i < y.length; i++) y[i] = (y[i] as number) + (bias[i % to] as number);
  const each = (body: (pixel: number, seen: number, offset: number) => void) => {
    for (let pixel = 0; pixel < n * h * w; pixel++)
      for (let offset = 0; offset < 9; offset++) {
        const [row, column] = [Math.floor(pixel / w) % h, pixel % w];
        const [down, right] = [Math.floor(offset / 3) - 1, (offset % 3) - 1];
        const inside = row + down >= 0 && row + down < h && column + right >= 0 && column + right < w;
        if (inside) body(pixel, pixel + down * w + right, offset);
      }
  };
  each((pixel, seen, offset) => {
    for (let c = 0; c < from; c++) {
      const [value, row] = [x[seen * from + c] as number, (offset * from + c) * to];
      let sum = 0;
      for (let o = 0; o < to; o++) {
        const [weight, slope] = [kernel[row + o] as number, dy[pixel * to + o] as number];
        y[pixel * to + o] = (y[pixel * to + o] as number) + value * weight;
        dkernel[row + o] = (dkernel[row + o] as number) + value * slope;
        sum += weight * slope;
      }
      dx[seen * from + c] = (dx[seen * from + c] as number) + sum;
    }
  });
  return { y, dx, dkernel };
}

/** The root mean square of the error over that of the values. */
function error(got: tf.Tensor, expected: Float64Array): number {
  let [off, all] = [0, 0];
  got.dataSync().forEach((value, i) => {
    off += (value - (expected[i] as number)) ** 2;
    all += (expected[i] as number) ** 2;
  });
  return Math.sqrt(off / all);
}

const sixteens = (units: number) => 16 * units;

describe.skipIf(backendInfo()?.backend !== 'tensorflow')('3×3 convolutions', () => {
  /** Forward and input gradient, and filter gradient: twice what was seen at most. */
  const check = (size: Size, seed: number) =>
    tf.tidy(() => {
      const { y, dx, dkernel, ...inputs } = results(size, seed);
      const expected = reference(size, inputs);
      const what = `[${Object.values(size)}]`;
      expect(error(y, expected.y), `y at ${what}`).toBeLessThan(2e-6);
      expect(error(dx, expected.dx), `dx at ${what}`).toBeLessThan(2e-6);
      expect(error(dkernel, expected.dkernel), `dkernel at ${what}`).toBeLessThan(3e-6);
    });

  test('of 200 random sizes are those of float64 to 2e-6, their filter gradients to 3e-6', () => {
    const numbers = uniforms(key(7), 2000).values();
    const whole = (low: number, high: number) => low + Math.floor(Number(numbers.next().value) * (high - low + 1));
    for (let i = 0; i < 200; i++) {
      const [h, w] = [whole(1, 14), whole(1, 14)];
      check({ n: whole(1, 3), h, w, from: sixteens(whole(1, 3)), to: sixteens(whole(1, 3)) }, i);
    }
  });

  // More tiles in a row than are transformed at once, tiles in parts, one pixel, panels of every width.
  test.each([
    { n: 3, h: 70, w: 75, from: 16, to: 16 },
    { n: 1, h: 1, w: 1, from: 16, to: 32 },
    { n: 2, h: 9, w: 6, from: 80, to: 112 },
    { n: 1, h: 7, w: 7, from: 144, to: 272 },
  ])('so they are at [$n, $h, $w, $from], $to', (size) => check(size, 1));

  test('what is not finite spreads over the tile of 4×4 pixels that it lies in and a line beside it, and is never lost', () => {
    const [h, w, to] = [13, 14, 16];
    for (const [value, row, column] of [
      [Number.NaN, 5, 6],
      [Number.POSITIVE_INFINITY, 0, 0],
      [Number.NEGATIVE_INFINITY, 4, 11],
      [Number.NaN, 12, 13],
    ] as const)
      tf.tidy(() => {
        const seen = normal(key(1), [1, h, w, 16]).bufferSync() as tf.TensorBuffer<tf.Rank>;
        seen.set(value, 0, row, column, 3);
        const nothing = tf.tensor1d([]);
        const kernel = normal(key(2), [3, 3, 16, to]);
        const y = run(CONV_3X3, { x: seen.toTensor(), kernel, bias: nothing, residual: nothing }).dataSync();
        // The tile, and the line that a convolution reaches beyond it.
        const reach = (at: number, i: number) => {
          const first = at - (at % 4);
          return i >= Math.min(first, at - 1) && i <= Math.max(first + 3, at + 1);
        };
        for (let i = 0; i < h * w * to; i++) {
          const [r, c] = [Math.floor(i / to / w), Math.floor(i / to) % w];
          expect(Number.isFinite(y[i]), `${value} at ${row}, ${column} seen from ${r}, ${c}`).toBe(
            !(reach(row, r) && reach(column, c)),
          );
        }
      });
  });

  test('compiled they give what they give eagerly, gradients included', () => {
    const size = { n: 2, h: 6, w: 5, from: 16, to: 32 };
    const { x, dy, kernel, bias, residual, y, dx, dkernel } = results(size, 3);
    const compiled = compile((inputs: Tensors) => ({
      y: run(CONV_3X3, { x, kernel, bias, residual, ...inputs }),
      dx: run(CONV_3X3_INPUT_GRADIENT, { kernel, dy, ...inputs }),
      dkernel: run(CONV_3X3_FILTER_GRADIENT, { x, dy }),
    }));
    const got = compiled({});
    for (const [name, expected] of Object.entries({ y, dx, dkernel }))
      expect(got[name as 'y'].dataSync()).toEqual(expected.dataSync());
    tf.dispose([x, dy, kernel, bias, residual, y, dx, dkernel, got]);
    compiled.dispose();
  });

  test('any number of threads gives the same bits', () => {
    expectSameBits(`
      for (const [n, h, from, to] of [[9, 18, 16, 48], [1, 9, 64, 80]]) {
        const [x, dy, kernel] = [[n, h, h, from], [n, h, h, to], [3, 3, from, to]].map((s, i) => normal(key(i), s));
        run(nn.CONV_3X3, { x, kernel, bias: tf.tensor1d([]), residual: tf.tensor1d([]) });
        run(nn.CONV_3X3_INPUT_GRADIENT, { dy, kernel });
        run(nn.CONV_3X3_FILTER_GRADIENT, { x, dy });
      }`);
  });

  test('without zeros around, large images take the same operation and keep its inside, with its gradients', async () => {
    const [x, kernel] = [normal(key(1), [2, 33, 34, 16]), normal(key(2), [3, 3, 16, 32])] as [tf.Tensor4D, tf.Tensor4D];
    const [bias, residual] = [normal(key(3), [32]), normal(key(4), [2, 31, 32, 32]) as tf.Tensor4D];
    const value =
      (gradients?: 'kernels') =>
      (...given: tf.Tensor[]) => {
        const [x, kernel, bias, residual] = given as [tf.Tensor4D, tf.Tensor4D, tf.Tensor, tf.Tensor4D];
        return tf.sum(tf.square(ops.conv2d(x, kernel, { padding: 0, bias, residual, gradients })));
      };
    const given = [x, kernel, bias, residual];
    const [own, library] = [value(), value('kernels')].map((f) => [f(...given), ...tf.grads(f)(given)]) as [
      tf.Tensor[],
      tf.Tensor[],
    ];
    own.forEach((found, i) => {
      const expected = library[i] as tf.Tensor;
      const scale = tf.max(tf.abs(expected)).dataSync()[0] as number;
      expect(tf.max(tf.abs(tf.sub(found, expected))).dataSync()[0]).toBeLessThan(1e-5 * scale);
    });
    const { kernelNames } = await tf.profile(() => ops.conv2d(x, kernel, { padding: 0, bias, residual }));
    expect(kernelNames).toContain(CONV_3X3);
  });
});
