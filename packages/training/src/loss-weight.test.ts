import { alpha, type Conditioning, key, type Network, normal, type Prediction, sigma } from '@logsnr/core';
import { arctan, cosine, linearBeta } from '@logsnr/schedules';
import { native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { adam } from './adam.js';
import { densityOf, secant } from './density.js';
import { diffusionLoss } from './diffusion-loss.js';
import { cosineDecay } from './learning-rate.js';
import { withLogVariance } from './log-variance.js';
import {
  edm,
  type LossWeight,
  minSnr,
  onV,
  onX,
  p2,
  perLambda,
  sigmoidWeight,
  snr,
  truncatedSnr,
  uniform,
} from './loss-weight.js';
import { type TrainOptions, train } from './train.js';
import { disposeState } from './training-state.js';

const weights: Record<string, LossWeight> = {
  uniform,
  'min-snr': minSnr(),
  edm: edm(),
  p2: p2(),
  sigmoid: perLambda(sigmoidWeight(1), densityOf(arctan({ lambdaMin: -3, lambdaMax: 3 }))),
};

test('each weight is the one its source states, by hand at SNR 4 and 1/4', () => {
  const [four, quarter] = [Math.log(4), Math.log(1 / 4)];
  // ‖x̂ − x‖² = ‖ε̂ − ε‖²/SNR, so a weight on x is divided by the SNR; ‖v̂ − v‖² = (1 + 1/SNR) ‖ε̂ − ε‖².
  const cases: [LossWeight, number, number][] = [
    [uniform, 1, 1],
    [snr(0), 1 / 4, 4],
    [onV(() => 1), 1.25, 5],
    [truncatedSnr, 1, 4],
    [minSnr(2), 2 / 4, 1],
    [minSnr(), 1, 1],
    // σ = 1/2 and 2, σ_data = 1/2: (σ² + σ_d²)/(σ σ_d)² = 8 and 4.25, times σ².
    [edm(), 8 / 4, 4.25 * 4],
    [p2(), 1 / 5, 1 / 1.25],
    [p2({ k: 2, gamma: 0.5 }), 6 ** -0.5, 2.25 ** -0.5],
    [sigmoidWeight(0), 1 / 5, 4 / 5],
    [sigmoidWeight(four), 1 / 2, 16 / 17],
    [
      perLambda(
        () => 3,
        (lambda) => (lambda > 0 ? 0.5 : 0.25),
      ),
      6,
      12,
    ],
    [onX((lambda) => Math.exp(2 * lambda)), 4, 1 / 4],
  ];
  for (const [weight, high, low] of cases) {
    expect(weight(four)).toBeCloseTo(high, 12);
    expect(weight(quarter)).toBeCloseTo(low, 12);
  }
  expect(() => minSnr(0)).toThrow(/gamma is 0/);
  expect(() => edm({ sigmaData: -1 })).toThrow(/sigmaData is -1/);
  expect(() => perLambda(uniform, () => 0)(1)).toThrow(/density of λ = 1 is 0/);
});

test("a schedule's density: the paper's in closed form, and each integrates to one", () => {
  const range = { lambdaMin: -20, lambdaMax: 20 };
  const [numeric, exact] = [densityOf(arctan(range)), secant(range)];
  for (const lambda of [-20, -19.9, -7, -0.3, 0, 2, 11, 19.999, 20])
    expect(Math.abs(numeric(lambda) / exact(lambda) - 1)).toBeLessThan(Math.abs(lambda) > 19.998 ? 1e-3 : 1e-5);
  expect([numeric(-21), numeric(20.5), exact(-21)]).toEqual([0, 0, 0]);
  for (const schedule of [arctan({ lambdaMin: -5, lambdaMax: 3 }), cosine(), linearBeta()]) {
    const [high, low] = [schedule(0), schedule(1)];
    const density = densityOf(schedule);
    const n = 4000;
    let mass = 0;
    for (let i = 0; i < n; i++) mass += (density(low + ((i + 0.5) / n) * (high - low)) * (high - low)) / n;
    expect(mass).toBeCloseTo(1, 4);
  }
  expect(() => densityOf((u) => u)).toThrow(/goes from 0 to 1; λ must fall/);
});

test('an error of each prediction weighs what it should, to the last digits at λ = ±18', () => {
  const conditioning: Conditioning<null> = { drop: (c) => c, nullCondition: (c) => c, concat: (a) => a };
  tf.tidy(() => {
    const lambdas = [-18, -4, 0, 3, 18];
    const [x, eps] = [normal(key(1), [5, 3]), normal(key(2), [5, 3])];
    const lambda = tf.tensor1d(lambdas);
    const shared = { conditioning, condition: null, x, eps, lambda, dropped: tf.zeros([5]) as tf.Tensor1D };
    // What is predicted is off by 1e-3, 2e-3, 3e-3: for v that is α as much in ε, for x α/σ as much.
    const [xs, es] = [x.arraySync() as number[][], eps.arraySync() as number[][]];
    const off = (target: (x: number, e: number, l: number) => number) => () =>
      tf.tensor2d(
        lambdas.map((l, i) =>
          [0, 1, 2].map((j) => target(xs[i]?.[j] as number, es[i]?.[j] as number, l) + 1e-3 * (j + 1)),
        ),
      );
    const models: [Prediction, () => tf.Tensor, LossWeight][] = [
      ['v', off((x, e, l) => alpha(l) * e - sigma(l) * x), (l) => 1 / alpha(l) ** 2],
      ['x', off((x) => x), snr(0)],
      ['eps', off((_, e) => e), uniform],
    ];
    for (const [prediction, model, of] of models) {
      const weight = tf.tensor1d(lambdas.map(of));
      const [loss] = diffusionLoss({ ...shared, model, prediction, weight }).dataSync();
      expect(Math.abs((loss as number) / ((1e-6 * (1 + 4 + 9)) / 3) - 1)).toBeLessThan(1e-3);
    }
  });
});

/** output = a·z with one number a for all λ: the weight decides which λ it suits. */
const slope: Network<null> = {
  shapes: { a: [1, 1] },
  init: () => ({ a: tf.zeros([1, 1]) }),
  apply: ({ a }, z) => tf.matMul(z as tf.Tensor2D, a as tf.Tensor2D),
};
const alone: Conditioning<null> = { drop: (c) => c, nullCondition: (c) => c, concat: (c) => c };
const spread = 0.7;
const schedule = arctan({ lambdaMin: -3, lambdaMax: 3 });
const options: TrainOptions<null> = {
  network: slope,
  conditioning: alone,
  schedule,
  batch: (_step, k) => ({ images: tf.tidy(() => tf.mul(normal(k, [1024, 1]), spread)), condition: null }),
  optimizer: adam({ learningRate: cosineDecay(0.1), beta2: 0.99 }),
  emaDecay: 0.9,
  key: key(3),
  steps: 90,
  runtime: native(),
};

/**
 * For x ~ N(0, s²) the least of E[w(λ) c(λ) E‖a z − target‖²] over a is E[w c E[target·z]]/E[w c E[z²]], with c what
 * turns the target's squared error into that of ε, E[z²] = α²s² + σ², and E[target·z] = σ, α s² and ασ(1 − s²) for ε, x
 * and v.
 */
function optimum(prediction: 'eps' | 'x' | 'v', weight: LossWeight, p = schedule): number {
  let [above, below] = [0, 0];
  for (let i = 0; i < 4000; i++) {
    const lambda = p((i + 0.5) / 4000);
    const [a, s] = [alpha(lambda), sigma(lambda)];
    const scale = { eps: 1, x: (a / s) ** 2, v: a * a }[prediction] * weight(lambda);
    above += scale * { eps: s, x: a * spread ** 2, v: a * s * (1 - spread ** 2) }[prediction];
    below += scale * (a * a * spread ** 2 + s * s);
  }
  return above / below;
}

test.each(['eps', 'x', 'v'] as const)('every weight leads a model of %s to its own optimum', async (prediction) => {
  const optima: number[] = [];
  for (const [name, weight] of Object.entries(weights)) {
    const result = await train({ ...options, prediction, weight });
    const found = result.ema.a?.dataSync()[0];
    const best = optimum(prediction, weight);
    expect([name, Math.abs((found as number) - best) < 0.015]).toEqual([name, true]);
    optima.push(best);
    disposeState(result);
  }
  // The test can tell weights apart: their optima lie up to that far from each other.
  expect(Math.max(...optima) - Math.min(...optima)).toBeGreaterThan(0.05);
});

test("importance weights give draws from one density another's optimum", async () => {
  // λ is drawn uniformly; the loss is that of the paper's p(λ).
  const flat = (u: number) => 6 - 12 * u;
  const range = { lambdaMin: -6, lambdaMax: 6 };
  const weight = perLambda(secant(range), densityOf(flat));
  const result = await train({ ...options, prediction: 'eps', schedule: flat, weight });
  const best = optimum('eps', uniform, arctan(range));
  expect(Math.abs((result.ema.a?.dataSync()[0] as number) - best)).toBeLessThan(0.015);
  const plain = await train({ ...options, prediction: 'eps', schedule: flat });
  expect(Math.abs((plain.ema.a?.dataSync()[0] as number) - best)).toBeGreaterThan(0.03);
  disposeState(result);
  disposeState(plain);
});

test('the learned weighting finds the size of the loss at every λ', async () => {
  // The best ε̂ = a(λ) z is known, and so is the loss that is left: 1 − σ²/(α²s² + σ²) = α²s²/(α²s² + σ²).
  const exact: Network<null> = {
    shapes: { unused: [1] },
    init: () => ({ unused: tf.zeros([1]) }),
    apply: ({ unused }, z, lambda) =>
      tf.tidy(() => {
        const [a2, s2] = [tf.sigmoid(lambda), tf.sigmoid(tf.neg(lambda))];
        const a = tf.div(tf.sqrt(s2), tf.add(tf.mul(a2, spread ** 2), s2));
        return tf.add(tf.mul(tf.reshape(a, [-1, 1]), z), tf.mul(unused as tf.Tensor, 0));
      }),
  };
  const { network, logVariance } = withLogVariance(exact, { channels: 64, key: key(9) });
  const optimizer = adam({ learningRate: cosineDecay(0.1), beta2: 0.99 });
  const result = await train({ ...options, network, logVariance, optimizer, steps: 400, emaDecay: 0.98 });
  for (const lambda of [-2.5, -1, 0, 1, 2.5]) {
    const at = tf.tensor1d([lambda]);
    const [u] = tf.tidy(() => logVariance(result.ema, at).dataSync());
    at.dispose();
    const left = (alpha(lambda) * spread) ** 2 / ((alpha(lambda) * spread) ** 2 + sigma(lambda) ** 2);
    expect(Math.abs((u as number) - Math.log(left))).toBeLessThan(0.2);
  }
  disposeState(result);
});
