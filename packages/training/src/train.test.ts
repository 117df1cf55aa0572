import { alpha, flatten, fold, key, type Labels, labels, normal, sigma } from '@logsnr/core';
import { constant, dropout, type Network } from '@logsnr/nn';
import { native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { linearNetwork } from '../test/linear-network.js';
import { adam } from './adam.js';
import { cosineDecay } from './learning-rate.js';
import { type Batch, type TrainOptions, train } from './train.js';
import { disposeState } from './training-state.js';

const classes: readonly { mean: number; std: number }[] = [
  { mean: 2, std: 0.5 },
  { mean: -1, std: 0.25 },
];
const conditioning: Labels = labels(2);

/** n samples, every other one of class 1: x ~ N(mean_c, std_c²). */
const gaussians =
  (n: number): TrainOptions<tf.Tensor1D>['batch'] =>
  (_step, k): Batch<tf.Tensor1D> => {
    const c = Array.from({ length: n }, (_, i) => i % 2);
    const column = (of: 'mean' | 'std') =>
      tf.tensor2d(
        c.map((label) => classes[label]?.[of] as number),
        [n, 1],
      );
    return {
      images: tf.tidy(() => tf.add(column('mean'), tf.mul(column('std'), normal(k, [n, 1])))),
      condition: conditioning.of(c),
    };
  };

const options = (more: Partial<TrainOptions<tf.Tensor1D>> = {}): TrainOptions<tf.Tensor1D> => ({
  network: linearNetwork(2),
  conditioning,
  schedule: () => 0.4,
  batch: gaussians(32),
  optimizer: adam({ learningRate: 0.01 }),
  key: key(7),
  ...more,
});

test('learns the closed-form optimum of every class and of ∅ at once', async () => {
  const before = tf.memory().numTensors;
  const lambda = 0.4;
  const result = await train(
    options({
      schedule: () => lambda,
      batch: gaussians(512),
      pUncond: 0.25,
      optimizer: adam({ learningRate: cosineDecay(0.05) }),
      emaDecay: 0.95,
      steps: 600,
      runtime: native(),
    }),
  );
  // ε*(z) = σ (z − α m)/(α² s² + σ²) for x ~ N(m, s²); for the mixture it is the best *linear* model, of the same form
  // with the mixture's mean and variance.
  const [a, s] = [alpha(lambda), sigma(lambda)];
  const [mean, variance] = [0.5, (0.25 + 0.0625) / 2 + 1.5 ** 2];
  const moments = [...classes.map((c) => [c.mean, c.std ** 2] as const), [mean, variance] as const];
  for (const weights of [result.parameters, result.ema]) {
    const [slope, shift] = ['slope', 'shift.bias'].map((path) => flatten<tf.Tensor>(weights)[path]?.dataSync());
    moments.forEach(([m, v], c) => {
      const expected = s / (a * a * v + s * s);
      expect(Math.abs((slope?.[c] as number) - expected)).toBeLessThan(0.03);
      expect(Math.abs((shift?.[c] as number) + expected * a * m)).toBeLessThan(0.03);
    });
  }
  // The least loss that a linear model can have: 1 − σ²/(α² Var x + σ²), weighted by how often each is asked for.
  const least = moments.map(([, v]) => 1 - s ** 2 / (a * a * v + s * s)) as [number, number, number];
  const floor = 0.75 * ((least[0] + least[1]) / 2) + 0.25 * least[2];
  const last = result.losses.slice(-100).reduce((sum, loss) => sum + loss / 100, 0);
  expect(Math.abs(last - floor)).toBeLessThan(0.02);
  expect(result.step).toBe(600);
  expect(result.losses).toHaveLength(600);
  const { losses, step, ...owned } = result;
  tf.dispose(owned as unknown as tf.TensorContainer);
  expect(tf.memory().numTensors).toBe(before);
});

/** ε̂ = a(λ) z + b(λ), both a small network of λ: a model for all noise levels of one Gaussian. */
const perLambda: Network<null> = {
  parameters: { first: constant([1, 16]), bias: constant([16]), second: constant([16, 2]) },
  init: (k) => ({ first: tf.mul(normal(k, [1, 16]), 0.5), bias: normal(k, [16], 9), second: tf.zeros([16, 2]) }),
  apply: ({ first, bias, second }, { z, lambda }) =>
    tf.tidy(() => {
      const column = tf.reshape(lambda, [-1, 1]) as tf.Tensor2D;
      const hidden = tf.tanh(tf.add(tf.matMul(column, first as tf.Tensor2D), bias as tf.Tensor1D));
      const [a, b] = tf.split(tf.matMul(hidden, second as tf.Tensor2D), 2, 1);
      return tf.add(tf.mul(a as tf.Tensor, z), b as tf.Tensor);
    }),
};

test.each(['eps', 'v'] as const)('learns the optimum over a range of λ, predicting %s', async (prediction) => {
  const [m, s] = [1, 0.5];
  const result = await train<null>({
    network: perLambda,
    prediction,
    conditioning: { drop: (c) => c, nullCondition: (c) => c, concat: (c) => c },
    schedule: (u) => 3 - 6 * u,
    batch: (_step, k) => ({ images: tf.tidy(() => tf.add(tf.mul(normal(k, [256, 1]), s), m)), condition: null }),
    optimizer: adam({ learningRate: cosineDecay(0.05) }),
    emaDecay: 0.98,
    key: key(3),
    steps: 800,
    runtime: native(),
  });
  const least: number[] = [];
  for (let i = 0; i < 200; i++) {
    const lambda = 3 - 6 * ((i + 0.5) / 200);
    const variance = alpha(lambda) ** 2 * s * s + sigma(lambda) ** 2;
    least.push(1 - sigma(lambda) ** 2 / variance);
  }
  const floor = least.reduce((sum, value) => sum + value, 0) / least.length;
  const last = result.losses.slice(-200).reduce((sum, loss) => sum + loss / 200, 0);
  expect(Math.abs(last - floor)).toBeLessThan(0.02);
  tf.dispose([result.parameters, result.ema, result.optimizer] as unknown as tf.TensorContainer);
});

/** A network whose raw output is 0 whatever its parameter, so that the loss shows what entered. */
const zero: Network<tf.Tensor1D> = {
  parameters: { w: constant([1]) },
  init: () => ({ w: tf.ones([1]) }),
  apply: ({ w }, { z }) => tf.tidy(() => tf.mul(tf.mul(z, 0), w as tf.Tensor)),
};

test.each(['eps', 'v'] as const)(
  'noise and λ are new in each step, and keyed; the output stands for %s',
  async (prediction) => {
    const lambda = 0.7;
    const drawn: number[] = [];
    const result = await train(
      options({
        network: zero,
        prediction,
        schedule(u) {
          drawn.push(u);
          return lambda;
        },
        batch: () => ({ images: tf.fill([4, 2], 0.5), condition: conditioning.of([0, 0, 0, 0]) }),
        steps: 3,
      }),
    );
    expect(new Set(drawn).size).toBe(12);
    result.losses.forEach((loss, step) => {
      const noise = normal(fold(key(7), 4, step), [4, 2]);
      // v = 0 stands for ε̂ = σ z, and ε = 0 for itself.
      const expected = Array.from(noise.dataSync()).reduce((sum, eps) => {
        const z = alpha(lambda) * 0.5 + sigma(lambda) * eps;
        return sum + ((prediction === 'v' ? sigma(lambda) * z : 0) - eps) ** 2 / 8;
      }, 0);
      noise.dispose();
      expect(loss).toBeCloseTo(expected, 5);
    });
    tf.dispose([result.parameters, result.ema, result.optimizer] as unknown as tf.TensorContainer);
  },
);

test('a tenth of the conditions is dropped unless told otherwise, other ones in each step', async () => {
  const masks: string[] = [];
  let dropped = 0;
  const result = await train(
    options({
      network: zero,
      batch: gaussians(1000),
      conditioning: {
        ...conditioning,
        drop(c, mask) {
          const values = Array.from(mask.dataSync());
          masks.push(values.join(''));
          dropped += values.reduce((sum, value) => sum + value, 0);
          return tf.clone(c);
        },
      },
      steps: 10,
    }),
  );
  expect(new Set(masks).size).toBe(10);
  expect(Math.abs(dropped / 10_000 - 0.1)).toBeLessThan(5 * Math.sqrt(0.09 / 10_000));
  tf.dispose([result.parameters, result.ema, result.optimizer] as unknown as tf.TensorContainer);
});

test('with pUncond 0 nothing is dropped, so there may be no ∅', async () => {
  const given = options({ network: zero, batch: gaussians(4), steps: 2, conditioning: labels(2, { nullLabel: null }) });
  const result = await train({ ...given, pUncond: 0 });
  expect(result.losses).toHaveLength(2);
  tf.dispose([result.parameters, result.ema, result.optimizer] as unknown as tf.TensorContainer);
  await expect(train(given)).rejects.toThrow('there is no ∅ among these labels');
});

test('the same key gives the same losses bit for bit; another key does not', async () => {
  const losses = async (seed: number) => {
    const result = await train(options({ key: key(seed), steps: 12 }));
    tf.dispose([result.parameters, result.ema, result.optimizer] as unknown as tf.TensorContainer);
    return result.losses;
  };
  const [one, again, other] = [await losses(5), await losses(5), await losses(6)];
  expect(again).toEqual(one);
  expect(other).not.toEqual(one);
});

test('a run that was stopped and continued is the same run bit for bit', async () => {
  const whole = await train(options({ steps: 10 }));
  const half = await train(options({ steps: 4 }));
  const rest = await train(options({ from: half, steps: 10 }));
  expect(rest.losses).toEqual(whole.losses);
  for (const part of ['parameters', 'ema', 'optimizer'] as const)
    for (const [path, value] of Object.entries(flatten<tf.Tensor>(whole[part])))
      expect(flatten<tf.Tensor>(rest[part])[path]?.dataSync()).toEqual(value.dataSync());
  const owned = [whole, half, rest].flatMap((run) => [run.parameters, run.ema, run.optimizer]);
  tf.dispose(owned as unknown as tf.TensorContainer);
});

test('a batch of 64 in four parts of 16 takes the same steps to 1e-6', async () => {
  const run = (accumulate: number) => train(options({ batch: gaussians(64), accumulate, steps: 20 }));
  const [whole, parts] = [await run(1), await run(4)];
  for (const group of ['parameters', 'ema'] as const)
    for (const [path, value] of Object.entries(flatten<tf.Tensor>(whole[group])))
      value.dataSync().forEach((number, i) => {
        const same = flatten<tf.Tensor>(parts[group])[path] as tf.Tensor;
        expect(Math.abs(number - (same.dataSync()[i] as number))).toBeLessThan(1e-6);
      });
  whole.losses.forEach((loss, i) => {
    expect(Math.abs(loss - (parts.losses[i] as number))).toBeLessThan(1e-6);
  });
  disposeState(whole);
  disposeState(parts);
  const before = tf.memory().numTensors;
  await expect(train(options({ batch: gaussians(30), accumulate: 4, steps: 1 }))).rejects.toThrow(
    /30 images does not come in 4 equal parts/,
  );
  expect(tf.memory().numTensors).toBe(before);
});

test('a state goes on with its own key only', async () => {
  const half = await train(options({ steps: 2 }));
  await expect(train(options({ from: half, key: key(8), steps: 4 }))).rejects.toThrow(/another key \(7,0, given 8,0\)/);
  disposeState(half);
});

test('batch gets the step and a key of its own; what it returns is disposed of', async () => {
  const seen: [number, string][] = [];
  const before = tf.memory().numTensors;
  const result = await train(
    options({
      batch(step, k) {
        seen.push([step, k.words.join()]);
        return gaussians(8)(step, k);
      },
      steps: 3,
    }),
  );
  expect(seen.map(([step]) => step)).toEqual([0, 1, 2]);
  expect(new Set(seen.map(([, words]) => words)).size).toBe(3);
  tf.dispose([result.parameters, result.ema, result.optimizer] as unknown as tf.TensorContainer);
  expect(tf.memory().numTensors).toBe(before);
});

test('what does not fit is refused and leaves nothing behind', async () => {
  const before = tf.memory().numTensors;
  await expect(train(options({ schedule: () => Number.NaN, steps: 2 }))).rejects.toThrow(/is NaN; a schedule/);
  await expect(train(options({ pUncond: 2, steps: 2 }))).rejects.toThrow(/pUncond is 2/);
  const parameters = { slope: tf.ones([2, 1]), shift: { bias: tf.ones([3, 1]) } };
  await expect(train(options({ parameters, steps: 2 }))).rejects.toThrow(/slope is \[2, 1\], must be \[3, 1\]/);
  tf.dispose(parameters as never);
  expect(tf.memory().numTensors).toBe(before);
});

test('a network with dropout trains, eager and compiled, with a new mask at each step', async () => {
  const layer = dropout<tf.Tensor>(0.5);
  const drops: Network<tf.Tensor1D> = {
    parameters: { w: constant([1]) },
    init: () => ({ w: tf.ones([1]) }),
    // ε̂ is a dropped-out 1, so the loss of a step tells its mask.
    apply: ({ w }, { z }, context) => tf.tidy(() => tf.mul(layer.apply({}, tf.onesLike(z), context), w as tf.Tensor)),
  };
  const run = (more: object) =>
    train(options({ network: drops, optimizer: adam({ learningRate: 0 }), steps: 4, ...more }));
  const [eager, again, compiled] = [await run({}), await run({}), await run({ runtime: native() })];
  expect(again.losses).toEqual(eager.losses);
  compiled.losses.forEach((loss, i) => {
    expect(Math.abs(loss - (eager.losses[i] as number))).toBeLessThan(1e-5);
  });
  // Of masks that stayed the same, ⟨(mask − ε)²⟩ − ⟨ε²⟩ would only vary by the noise's own sign.
  const other = await run({ key: key(8) });
  expect(other.losses).not.toEqual(eager.losses);
  for (const state of [eager, again, compiled, other]) disposeState(state);
});
