import { flatten, key, unflatten } from '@logsnr/core';
import { type Network, type NetworkInput, type Parameters, shapesOf } from '@logsnr/nn';
import { backendInfo, compile } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { classEmbeddings, onEmbeddings } from './class-embedding.js';
import { dit, mlp } from './dit.js';
import type { DitConfig, MlpConfig } from './dit-config.js';

const images: DitConfig = {
  ...{ height: 6, width: 4, channels: 2, outputs: 4, classes: 3 },
  ...{ patch: 2, size: 8, depth: 2, heads: 2 },
};
const vectors: MlpConfig = { dimensions: 2, classes: 3, size: 8, depth: 2, ratio: 2 };

type Labels = tf.Tensor1D;
type Flat = Record<string, tf.Tensor>;
const labels = (...of: number[]): Labels => tf.tensor1d(of, 'int32');
const flat = (parameters: Parameters): Flat => flatten<tf.Tensor>(parameters);

describe.each([
  ['dit', dit(images), (n: number) => random(1, n, 6, 4, 2), [6, 4, 4]],
  ['mlp', mlp(vectors), (n: number) => random(1, n, 2), [2]],
] as const)('%s', (name, network: Network<Labels>, noised, output) => {
  const parameters = randomised(network);
  const input: NetworkInput<Labels> = { z: noised(2), lambda: tf.tensor1d([-2, 3]), condition: labels(0, 3) };
  const apply = (change: Partial<NetworkInput<Labels>> = {}, own = parameters) =>
    network.apply(own, { ...input, ...change });

  test('fresh gives exactly 0, a function of the key alone', () => {
    const fresh = network.init(key(1));
    const y = apply({}, fresh);
    expect(y.shape).toEqual([2, ...output]);
    expect(Math.max(...tf.abs(y).dataSync())).toBe(0);
    const [again, other] = [flat(network.init(key(1))), flat(network.init(key(2)))];
    for (const [path, tensor] of Object.entries(flat(fresh)))
      expect(difference(again[path] as tf.Tensor, tensor)).toBe(0);
    const path = 'block.0.mlp1.kernel';
    expect(difference(other[path] as tf.Tensor, flat(fresh)[path] as tf.Tensor)).toBeGreaterThan(0.1);
    // The original's first values: N(0, 0.02²) for the class table.
    expect(
      Math.sqrt(tf.moments(flat(fresh)['class.table'] as tf.Tensor).variance.dataSync()[0] as number),
    ).toBeLessThan(0.03);
  });

  test('z, λ and label matter, each to its own sample alone', () => {
    const base = apply();
    const sample = (y: tf.Tensor, i: number) => tf.slice(y, i, 1);
    const changes = [
      { z: tf.concat([sample(input.z, 0), sample(input.z, 0)]) },
      { lambda: tf.tensor1d([-2, 3.5]) },
      { condition: labels(0, 2) },
    ];
    for (const changed of changes.map((change) => apply(change))) {
      expect(difference(sample(changed, 1), sample(base, 1))).toBeGreaterThan(1e-3);
      expect(difference(sample(changed, 0), sample(base, 0))).toBeLessThan(1e-6);
    }
  });

  test('class embeddings stand for labels, ∅ has a row unless it is left out, and an unconditional network looks at none', () => {
    const condition = classEmbeddings(parameters).of(input.condition);
    expect(difference(onEmbeddings(network).apply(parameters, { ...input, condition }), apply())).toBeLessThan(1e-6);
    const bare = name === 'dit' ? dit({ ...images, classes: 0 }) : mlp({ ...vectors, classes: 0 });
    expect(Object.keys(bare.parameters)).not.toContain('class');
    const without = name === 'dit' ? dit({ ...images, nullClass: false }) : mlp({ ...vectors, nullClass: false });
    expect([shapesOf(network), shapesOf(without)].map((shapes) => shapes['class.table'])).toEqual([
      [4, 8],
      [3, 8],
    ]);
    const own = randomised(bare);
    expect(difference(bare.apply(own, { ...input, condition: labels(9, 9) }), bare.apply(own, input))).toBe(0);
  });

  const paths = Object.keys(shapesOf(network));
  const dy = random(7, 2, ...output);
  const run = (z: tf.Tensor, lambda: tf.Tensor, ...values: tf.Tensor[]) => {
    const own = Object.fromEntries(paths.map((path, i) => [path, values[i] as tf.Tensor]));
    return apply({ z, lambda: lambda as tf.Tensor1D }, unflatten(own) as Parameters);
  };
  const at = () => [input.z, input.lambda, ...Object.values(flat(parameters))];
  const gradients = () => tf.grads(run as never)(at(), dy);

  test('gradients are those of finite differences', () => {
    const value = (given: tf.Tensor[]) =>
      tf.tidy(() => tf.sum(tf.mul(run(...(given as [tf.Tensor, tf.Tensor])), dy)).dataSync()[0] as number);
    gradients().forEach((gradient, which) => {
      const length = tf.norm(gradient).dataSync()[0] as number;
      // λ has features of short periods.
      const step = which === 1 ? 2e-3 : 1e-2;
      const moved = (by: number) =>
        value(at().map((t, i) => (i === which ? tf.add(t, tf.mul(gradient, by / length)) : t)));
      const slope = (8 * (moved(step) - moved(-step)) - (moved(2 * step) - moved(-2 * step))) / (12 * step);
      expect(Math.abs(slope - length) / length, ['z', 'lambda', ...paths][which]).toBeLessThan(2e-2);
    });
  });

  test('values and gradients on wasm and in plain JavaScript are those of this backend', async () => {
    const all = () => [apply(), ...gradients()].map((t) => t.dataSync());
    const here = all();
    for (const backend of ['wasm', 'cpu'] as const)
      (await onBackend(backend, all)).forEach((values, which) => {
        const expected = here[which] as Float32Array;
        const scale = Math.max(...expected.map(Math.abs), 1);
        const worst = Math.max(...values.map((value, i) => Math.abs(value - (expected[i] as number))));
        expect(worst, `${which} on ${backend}`).toBeLessThan(1e-4 * scale);
      });
  });

  test.skipIf(backendInfo()?.backend !== 'tensorflow')('compiled gives what it gives eagerly', () => {
    const both = (z: tf.Tensor) => tf.tidy(() => ({ y: apply({ z }), dz: tf.grad((z) => apply({ z }))(z) }));
    const compiled = compile(both);
    const [eager, got] = [both(input.z), compiled(input.z)];
    expect(difference(got.y, eager.y)).toBeLessThan(1e-5);
    expect(difference(got.dz, eager.dz)).toBeLessThan(1e-5);
    compiled.dispose();
  });

  test('init, apply and the gradient leave nothing but their results', () => {
    expectNoLeak(() => Object.values(flat(network.init(key(1)))));
    expectNoLeak(() => [apply()]);
    expectNoLeak(gradients);
  });

  test('what does not fit is refused', () => {
    const before = tf.memory().numTensors;
    expect(() => apply({ z: tf.zeros([2, 5]) })).toThrow(/z has shape/);
    expect(() => apply({ z: tf.cast(input.z, 'int32') })).toThrow(/z is of type int32/);
    expect(() => apply({ lambda: tf.zeros([3]) as Labels })).toThrow(/lambda has shape/);
    expect(() => apply({ condition: tf.zeros([2]) as Labels })).toThrow(/labels are int32/);
    expect(() => apply({}, {})).toThrow(/parameter "lambda.linear1.kernel" is missing/);
    expect(tf.memory().numTensors - before).toBe(4);
  });
});

test.each([
  [{ height: 5 }, /height is 5, which patch, 2, does not divide/],
  [{ size: 6 }, /size is 6; it must be divisible by 4/],
  [{ heads: 3 }, /heads is 3/],
  [{ depth: 0 }, /depth is 0/],
  [{ ratio: 1.5 }, /ratio is 1.5/],
  [{ outputs: 0 }, /outputs is 0/],
  [{ classes: -1 }, /classes is -1/],
  [{ groups: 2 }, /does not know the option "groups"/],
])('a dit with %o is refused', (change, message) => {
  expect(() => dit({ ...images, ...change } as DitConfig)).toThrow(message);
});

test.each([
  [{ dimensions: 0 }, /dimensions is 0/],
  [{ size: 0 }, /size is 0/],
  [{ heads: 2 }, /does not know the option "heads"/],
])('an mlp with %o is refused', (change, message) => {
  expect(() => mlp({ ...vectors, ...change } as MlpConfig)).toThrow(message);
});

test("a dit's epsilon is that of the norms before the linear maps of its blocks alone", () => {
  const given = { z: random(1, 2, 6, 4, 2), lambda: tf.tensor1d([-2, 3]), condition: labels(0, 3) };
  const of = (change: Partial<DitConfig>) => {
    const network = dit({ ...images, ...change });
    return network.apply(randomised(network), given);
  };
  expect(difference(of({ epsilon: 1e-6 }), of({}))).toBe(0);
  const changed = difference(of({ epsilon: 1e-2 }), of({}));
  expect(changed).toBeGreaterThan(1e-5);
  expect(changed).toBeLessThan(0.5);
  expect(() => of({ epsilon: 0 })).toThrow('epsilon is 0');
});
