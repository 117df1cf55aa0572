import { fold, key, normal, uniforms } from '@logsnr/core';
import { ATTENTION, ATTENTION_GRADIENT, ops } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { expectSameBits } from '../test/threads.js';
import { backendInfo } from './backend.js';
import { compile } from './compile/compile.js';

const forward = (qkv: tf.Tensor, heads: number): tf.Tensor =>
  tf.engine().runKernel(ATTENTION, { qkv }, { heads } as never);
const backward = (dy: tf.Tensor, qkv: tf.Tensor, heads: number): tf.Tensor =>
  tf.engine().runKernel(ATTENTION_GRADIENT, { dy, qkv }, { heads } as never);

interface Size {
  n: number;
  t: number;
  heads: number;
  d: number;
}

/** qkv and dy, random. */
function draw({ n, t, heads, d }: Size, seed: number) {
  const of = (stream: number, channels: number) =>
    tf.tidy(() => tf.slice(normal(fold(key(seed), stream), [Math.max(1, n), t, channels]), 0, n));
  return { qkv: of(0, 3 * heads * d), dy: of(1, heads * d) };
}

type Numbers = ArrayLike<number>;

/** y and dqkv by the definition, in float64. */
function reference({ n, t, heads, d }: Size, qkv: Numbers, dy: Numbers) {
  const c = heads * d;
  const [y, dqkv] = [new Float64Array(n * t * c), new Float64Array(n * t * 3 * c)];
  const dot = (a: Numbers, i: number, b: Numbers, j: number) => {
    let sum = 0;
    for (let k = 0; k < d; k++) sum += (a[i + k] as number) * (b[j + k] as number);
    return sum;
  };
  const add = (to: Float64Array, i: number, factor: number, from: Numbers, j: number) => {
    for (let k = 0; k < d; k++) to[i + k] = (to[i + k] as number) + factor * (from[j + k] as number);
  };
  const tokens = Array.from({ length: t }, (_, token) => token);
  for (let pair = 0; pair < n * heads; pair++) {
    const [sample, head] = [Math.floor(pair / heads), pair % heads];
    const at = (token: number, part: number) => ((sample * t + token) * 3 + part) * c + head * d;
    for (const i of tokens) {
      const out = (sample * t + i) * c + head * d;
      const scores = tokens.map((j) => dot(qkv, at(i, 0), qkv, at(j, 1)) / Math.sqrt(d));
      const most = Math.max(...scores);
      const weights = scores.map((score) => Math.exp(score - most));
      const total = weights.reduce((a, b) => a + b);
      const p = weights.map((weight) => weight / total);
      const dp = tokens.map((j) => dot(dy, out, qkv, at(j, 2)));
      const mean = p.reduce((sum, weight, j) => sum + weight * (dp[j] as number), 0);
      for (const [j, weight] of p.entries()) {
        const ds = (weight * ((dp[j] as number) - mean)) / Math.sqrt(d);
        add(y, out, weight, qkv, at(j, 2));
        add(dqkv, at(i, 0), ds, qkv, at(j, 1));
        add(dqkv, at(j, 1), ds, qkv, at(i, 0));
        add(dqkv, at(j, 2), weight, dy, out);
      }
    }
  }
  return { y, dqkv };
}

/** The root mean square of the error over that of the values. */
function error(got: tf.Tensor, expected: Float64Array): number {
  let [off, all] = [0, 1e-30];
  got.dataSync().forEach((value, i) => {
    off += (value - (expected[i] as number)) ** 2;
    all += (expected[i] as number) ** 2;
  });
  return Math.sqrt(off / all);
}

describe.skipIf(backendInfo()?.backend !== 'tensorflow')('attention', () => {
  const check = (size: Size, seed: number) =>
    tf.tidy(() => {
      const { qkv, dy } = draw(size, seed);
      const expected = reference(size, qkv.dataSync(), dy.dataSync());
      const [y, dqkv] = [forward(qkv, size.heads), backward(dy, qkv, size.heads)];
      const what = `[${Object.values(size)}]`;
      expect(y.shape, what).toEqual(dy.shape);
      expect(dqkv.shape, what).toEqual(qkv.shape);
      // Twice what was seen at most.
      expect(error(y, expected.y), `y at ${what}`).toBeLessThan(1e-6);
      expect(error(dqkv, expected.dqkv), `dqkv at ${what}`).toBeLessThan(1e-6);
    });

  test('of 200 random sizes is that of float64 to 1e-6, gradients too', () => {
    const numbers = uniforms(key(7), 2000).values();
    const whole = (low: number, high: number) => low + Math.floor(Number(numbers.next().value) * (high - low + 1));
    for (let i = 0; i < 200; i++) check({ n: whole(0, 3), t: whole(1, 70), heads: whole(1, 4), d: whole(1, 40) }, i);
  });

  // Several blocks of queries, the last of which is not full; blocks of more than 64; one sample on many threads.
  test.each([
    { n: 2, t: 1, heads: 1, d: 1 },
    { n: 1, t: 64, heads: 1, d: 128 },
    { n: 2, t: 200, heads: 2, d: 20 },
    { n: 1, t: 300, heads: 1, d: 32 },
    { n: 1, t: 1100, heads: 1, d: 3 },
  ])('so it is at n $n, t $t, $heads heads, d $d', (size) => check(size, 1));

  test('its gradient is the slope of its values', () =>
    tf.tidy(() => {
      const size = { n: 2, t: 19, heads: 2, d: 5 };
      const { qkv, dy } = draw(size, 3);
      const along = normal(key(9), qkv.shape);
      const dot = (a: tf.Tensor, b: tf.Tensor) => tf.sum(tf.mul(a, b)).dataSync()[0] as number;
      const step = 1e-2;
      const at = (by: number) => dot(dy, ops.attention(tf.add(qkv, tf.mul(along, by)) as tf.Tensor3D, size.heads));
      const slope = (8 * (at(step) - at(-step)) - (at(2 * step) - at(-2 * step))) / (12 * step);
      const gradient = tf.grad((x) => ops.attention(x as tf.Tensor3D, size.heads))(qkv, dy);
      expect(dot(gradient, along)).toBeCloseTo(slope, 2);
      expect(Math.abs(slope)).toBeGreaterThan(1);
    }));

  test('is what the composed form gives, and no tensor is lost', () => {
    const { qkv, dy } = draw({ n: 2, t: 49, heads: 4, d: 8 }, 4);
    const both = (method: ops.AttentionMethod) => {
      const op = (x: tf.Tensor) => ops.attention(x as tf.Tensor3D, 4, method);
      return [op(qkv), tf.grad(op)(qkv, dy)];
    };
    expectNoLeak(() => tf.tidy(() => both('kernel')));
    tf.tidy(() => {
      const composed = both('composed');
      for (const [i, got] of both('kernel').entries())
        expect(error(got, Float64Array.from(composed[i]?.dataSync() ?? []))).toBeLessThan(1e-6);
    });
    tf.dispose([qkv, dy]);
  });

  test('scores of ±10⁴ and more give the token of the largest, and no NaN', () =>
    tf.tidy(() => {
      const size = { n: 1, t: 21, heads: 1, d: 1 };
      const [q, k] = [(i: number) => (i % 2 ? 1e4 : -1e4), (j: number) => 1 + ((j * 8) % 21) / 10];
      const keys = Array.from({ length: size.t }, (_, i) => k(i));
      const [least, most] = [keys.indexOf(Math.min(...keys)), keys.indexOf(Math.max(...keys))];
      // All others have weight 0, so that not even such a value is seen.
      const value = (i: number) => (i === least || i === most ? i + 1 : 1e38);
      const qkv = tf.tensor3d([keys.map((key, i) => [q(i), key, value(i)])]);
      expect([...forward(qkv, 1).dataSync()]).toEqual(keys.map((_, i) => (i % 2 ? most : least) + 1));
      const gradient = backward(tf.ones([1, size.t, 1]), qkv, 1).dataSync();
      expect(gradient.every(Number.isFinite)).toBe(true);
    }));

  test('what is not finite in a query spoils its row, in a key its head, in a value its channel, and nothing else', () => {
    const { n, t, heads, d } = { n: 2, t: 20, heads: 2, d: 17 };
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY])
      for (const part of [0, 1, 2])
        tf.tidy(() => {
          const values = draw({ n, t, heads, d }, 5).qkv.bufferSync();
          values.set(bad, 1, 18, (part * heads + 1) * d + 16);
          const y = forward(values.toTensor(), heads).dataSync();
          for (let i = 0; i < y.length; i++) {
            const [token, channel] = [Math.floor(i / heads / d), i % (heads * d)];
            const own = token >= t && channel >= d;
            // An infinite key has weight 0 where its score is −∞.
            if (own && part === 1 && bad > 0) continue;
            const spoilt = own && [token === t + 18, true, channel === heads * d - 1][part];
            expect(Number.isFinite(y[i]), `${bad} in part ${part} seen from ${token}, ${channel}`).toBe(!spoilt);
          }
        });
  });

  test('compiled it gives what it gives eagerly, gradient included', () => {
    const { qkv, dy } = draw({ n: 2, t: 30, heads: 3, d: 7 }, 6);
    const op = (x: tf.Tensor) => ops.attention(x as tf.Tensor3D, 3);
    const both = (x: tf.Tensor) => tf.tidy(() => ({ y: op(x), dx: tf.grad(op)(x, dy) }));
    const compiled = compile(both);
    const [eager, got] = [both(qkv), compiled(qkv)];
    expect(got.y.dataSync()).toEqual(eager.y.dataSync());
    expect(got.dx.dataSync()).toEqual(eager.dx.dataSync());
    tf.dispose([qkv, dy, eager, got]);
    compiled.dispose();
  });

  test('any number of threads gives the same bits', () => {
    expectSameBits(`
      for (const [n, t, heads, d] of [[1, 300, 1, 20], [1, 70, 2, 32], [1, 1050, 1, 16], [3, 64, 2, 48]]) {
        const [qkv, dy] = [normal(key(1), [n, t, 3 * heads * d]), normal(key(2), [n, t, heads * d])];
        run(nn.ATTENTION, { qkv }, { heads });
        run(nn.ATTENTION_GRADIENT, { dy, qkv }, { heads });
      }`);
  });
});
