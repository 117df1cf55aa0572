import {
  diffuse,
  type EpsFunction,
  epsOf,
  flatten,
  fold,
  type Guided,
  gaussianMixture,
  key,
  labels,
  normal,
  type Prediction,
  scales,
} from '@logsnr/core';
import { embedding, type Network } from '@logsnr/nn';
import { native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { adam } from './adam.js';
import { diffusionLoss } from './diffusion-loss.js';
import { distillation, type GuidedLossInputs, guidanceFree } from './guided-objective.js';
import { cosineDecay } from './learning-rate.js';
import { train } from './train.js';

const { model: teacher } = gaussianMixture([
  { mean: [-1, 0], std: 0.4 },
  { mean: [1, 0.5], std: 0.3 },
]);
const conditioning = labels(2);
const n = 6;
const x = normal(key(0), [n, 2]);
const eps = normal(key(1), [n, 2]);
const lambda = tf.tensor1d([-4, -1, 0, 1, 3, 6]);
const w = tf.tensor1d([0, 0.5, 1, 2, 4, 1.5]);
const condition = conditioning.of([0, 1, 0, 1, 0, 1]);
const exact = epsOf(teacher);
const column = (values: tf.Tensor1D) => tf.reshape(values, [-1, 1]);
/** ε_c + w (ε_c − ε_∅), as a network would give it. */
const guided: EpsFunction<Guided<tf.Tensor1D>> = (z, lambda, { condition, w }) =>
  tf.tidy(() => {
    const [own, none] = [exact(z, lambda, condition), exact(z, lambda, conditioning.nullCondition(condition))];
    return tf.add(own, tf.mul(tf.sub(own, none), column(w)));
  });
const inputs = (more: Partial<GuidedLossInputs<tf.Tensor1D>> = {}): GuidedLossInputs<tf.Tensor1D> => ({
  ...{ model: guided, conditioning, x, condition, lambda, eps, w },
  ...more,
});
const numberOf = (loss: tf.Scalar): number => {
  const [value = Number.NaN] = loss.dataSync();
  loss.dispose();
  return value;
};

describe('distillation', () => {
  const objective = distillation(teacher, { weights: [0, 4] });

  test('is 0 for a network that guides, and for the others the mean square of what ε̂ lacks', () => {
    expect(numberOf(objective.loss(inputs()))).toBeLessThan(1e-10);
    const off: EpsFunction<Guided<tf.Tensor1D>> = (z, lambda, c) => tf.tidy(() => tf.add(guided(z, lambda, c), 0.3));
    expect(numberOf(objective.loss(inputs({ model: off })))).toBeCloseTo(0.09, 5);
    const weight = tf.tensor1d([1, 2, 3, 4, 5, 6]);
    expect(numberOf(objective.loss(inputs({ model: off, weight })))).toBeCloseTo(0.09 * 3.5, 5);
    expectNoLeak(() => objective.loss(inputs()));
  });

  test.each<Prediction>(['x', 'v', 'score'])('is the same number for a network that predicts %s', (prediction) => {
    const zero: EpsFunction<Guided<tf.Tensor1D>> = (z, _lambda, { w }) =>
      tf.tidy(() => tf.mul(z, tf.mul(0.3, column(w))));
    const as: EpsFunction<Guided<tf.Tensor1D>> = (z, lambda, c) =>
      tf.tidy(() => {
        const own = zero(z, lambda, c);
        const { alpha, sigma } = scales(z, lambda);
        const x = tf.div(tf.sub(z, tf.mul(sigma, own)), alpha);
        if (prediction === 'x') return x;
        if (prediction === 'v') return tf.sub(tf.mul(alpha, own), tf.mul(sigma, x));
        return tf.neg(tf.div(own, sigma));
      });
    const direct = numberOf(objective.loss(inputs({ model: zero })));
    const other = numberOf(objective.loss(inputs({ model: as, prediction })));
    expect(Math.abs(other / direct - 1)).toBeLessThan(1e-4);
  });

  test('where a condition is dropped the target is that of ∅, whatever w', () => {
    const dropped = tf.ones<tf.Rank.R1>([n]);
    const free: EpsFunction<Guided<tf.Tensor1D>> = (z, lambda, { condition }) => exact(z, lambda, condition);
    expect(numberOf(objective.loss(inputs({ model: free, dropped })))).toBeLessThan(1e-10);
    expect(numberOf(objective.loss(inputs({ model: free })))).toBeGreaterThan(1e-3);
  });

  test('draws w evenly between its ends, and refuses ends that are none', () => {
    const { weight } = distillation(teacher, { weights: [1, 5] });
    expect([0, 0.25, 1].map(weight)).toEqual([1, 2, 5]);
    expect(() => distillation(teacher, { weights: [2, 1] })).toThrow('the weights are [2, 1]');
    expect(() => distillation(teacher, { weights: [0, Number.POSITIVE_INFINITY] })).toThrow('weights[1]');
  });
});

describe('guidanceFree', () => {
  const objective = guidanceFree<tf.Tensor1D>({ weights: [0, 9] });

  test('of a network that guides is the plain loss of the conditional prediction: ε_c + w (ε_c − ε_∅) is its optimum', () => {
    const plain = numberOf(diffusionLoss({ model: exact, conditioning, x, condition, lambda, eps }));
    expect(numberOf(objective.loss(inputs()))).toBeCloseTo(plain, 5);
    const unguided: EpsFunction<Guided<tf.Tensor1D>> = (z, lambda, { condition }) => exact(z, lambda, condition);
    expect(Math.abs(numberOf(objective.loss(inputs({ model: unguided }))) - plain)).toBeGreaterThan(1e-3);
    expectNoLeak(() => objective.loss(inputs()));
  });

  test('passes the gradient through the guided prediction alone', () => {
    const p = tf.scalar(0.7);
    const own =
      (p: tf.Scalar): EpsFunction<Guided<tf.Tensor1D>> =>
      (z) =>
        tf.mul(z, p);
    const gradient = tf.grad((p: tf.Tensor) => objective.loss(inputs({ model: own(p as tf.Scalar) })))(p);
    // Of mean (β p z + (1 − β) q z − ε)² by p, at q = p.
    const expected = tf.tidy(() => {
      const z = diffuse(x, eps, lambda);
      const beta = tf.div(1, tf.add(column(w), 1));
      const rest = tf.sub(tf.mul(z, 0.7), eps);
      return numberOf(tf.mean(tf.mul(tf.mul(rest, tf.mul(beta, z)), 2)) as tf.Scalar);
    });
    expect(numberOf(gradient as tf.Scalar)).toBeCloseTo(expected, 5);
  });

  test('a sample without its condition has w = 0', () => {
    const seen: number[][] = [];
    const spy: EpsFunction<Guided<tf.Tensor1D>> = (z, lambda, c) => {
      seen.push([...c.w.dataSync()]);
      return guided(z, lambda, c);
    };
    const dropped = tf.tensor1d([0, 1, 0, 1, 0, 1]);
    objective.loss(inputs({ model: spy, dropped })).dispose();
    expect(seen).toEqual([
      [0, 0, 1, 0, 4, 0],
      [0, 0, 0, 0, 0, 0],
    ]);
  });

  test('draws β = 1/(1 + w) evenly, and refuses w below 0', () => {
    const { weight } = guidanceFree({ weights: [1, 3] });
    expect([0, 0.5, 1].map(weight).map((w) => 1 / (1 + w))).toEqual([0.25, 0.375, 0.5]);
    expect(() => guidanceFree({ weights: [-0.5, 3] })).toThrow('w ≥ 0');
  });
});

/** ε̂ = (a_c + w a'_c) z + b_c + w b'_c, a table of four numbers for each label. */
const table = embedding(3, 4, { std: 0.1 });
const network: Network<Guided<tf.Tensor1D>> = {
  parameters: { table: table.parameters as never },
  init: (k) => ({ table: table.init(k) as never }),
  apply: ({ table: own }, { z, condition: { condition, w } }) =>
    tf.tidy(() => {
      const [a, da, b, db] = tf.split(table.apply(own as never, condition), 4, 1) as [
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
        tf.Tensor,
      ];
      const wide = column(w);
      return tf.add(tf.mul(z, tf.add(a, tf.mul(wide, da))), tf.add(b, tf.mul(wide, db)));
    }),
};
/** ε = a z + b for each of two classes and ∅. */
const lines = [
  [0.9, 0.2],
  [0.6, -0.3],
  [0.8, 0.1],
] as const;
const straight: EpsFunction<tf.Tensor1D> = (z, _, label) =>
  tf.tidy(() => {
    const rows = tf.gather(tf.tensor2d(lines as unknown as number[][]), label);
    const [a, b] = tf.split(rows, 2, 1) as [tf.Tensor, tf.Tensor];
    return tf.add(tf.mul(z, a), b);
  });
const batch = (_: number, k: ReturnType<typeof key>) => ({
  images: normal(fold(k, 0), [64, 1]),
  condition: conditioning.of(Array.from({ length: 64 }, (_, i) => i % 2)),
});

test('train distils a teacher to its closed form, compiled, and again to the same bits', async () => {
  const run = (steps: number) =>
    train({
      ...{ network, conditioning, schedule: () => 0.4, batch, pUncond: 0, key: key(3), steps, runtime: native() },
      objective: distillation(straight, { weights: [0, 3] }),
      optimizer: adam({ learningRate: cosineDecay(0.03) }),
      emaDecay: 0.9,
    });
  const result = await run(500);
  const rows = [...(Object.values(flatten<tf.Tensor>(result.ema))[0] as tf.Tensor).dataSync()];
  const [[a0, b0], [a1, b1], [a, b]] = lines;
  const expected = [a0, a0 - a, b0, b0 - b, a1, a1 - a, b1, b1 - b];
  expected.forEach((value, i) => {
    expect(Math.abs((rows[i] as number) - value)).toBeLessThan(5e-3);
  });
  expect(result.losses.at(-1)).toBeLessThan(1e-4);
  const [first, second] = [await run(5), await run(5)];
  expect(first.losses).toEqual(second.losses);
  for (const { losses, step, ...owned } of [result, first, second]) tf.dispose(owned as never);
});

test('train without a teacher finds the same form', async () => {
  // Data whose ε_c and ε_∅ are lines: Gaussians, of which ∅ is one too, as both classes have the same.
  const result = await train({
    ...{ network, conditioning, schedule: () => 0, key: key(4), steps: 800, runtime: native(), pUncond: 0.2 },
    batch: (_, k) => ({
      images: tf.tidy(() => tf.add(tf.mul(normal(fold(k, 0), [256, 1]), 0.5), 1)),
      condition: conditioning.of(Array.from({ length: 256 }, (_, i) => i % 2)),
    }),
    objective: guidanceFree({ weights: [0, 2] }),
    optimizer: adam({ learningRate: cosineDecay(0.03) }),
    emaDecay: 0.97,
  });
  // ε = σ (z − α m)/(α² s² + σ²) at α² = σ² = ½, for every label, so nothing depends on w.
  const slope = Math.SQRT1_2 / (0.5 * 0.25 + 0.5);
  const rows = [...(Object.values(flatten<tf.Tensor>(result.ema))[0] as tf.Tensor).dataSync()];
  for (const label of [0, 1]) {
    const [a, da, b, db] = rows.slice(4 * label, 4 * label + 4) as [number, number, number, number];
    expect(Math.abs(a - slope)).toBeLessThan(0.05);
    expect(Math.abs(b + slope * Math.SQRT1_2)).toBeLessThan(0.05);
    expect(Math.abs(da) + Math.abs(db)).toBeLessThan(0.1);
  }
  const { losses, step, ...owned } = result;
  tf.dispose(owned as never);
});

test('a weight that is not finite is refused at once', async () => {
  const objective = { weight: () => Number.NaN, loss: distillation(straight, { weights: [0, 1] }).loss };
  const running = train({
    ...{
      network,
      conditioning,
      schedule: () => 0,
      batch,
      objective,
      key: key(0),
      steps: 1,
      optimizer: adam({ learningRate: 1e-3 }),
    },
  });
  await expect(running).rejects.toThrow('not finite');
});
