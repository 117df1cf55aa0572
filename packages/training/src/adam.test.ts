import { flatten, key, mapLeaves, normal } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { type AdamOptions, adam, adamW } from './adam.js';
import { type AdamMethod, adamMethod, adamStep } from './adam-step.js';
import { cosineDecay } from './learning-rate.js';
import { optimize } from './optimize.js';
import type { Numbers, Scalars } from './optimizer.js';
import { disposeState } from './training-state.js';

/** Five steps from fixed weights and gradients; the weights at the end. */
function fiveSteps(options: AdamOptions, scale = 1): number[] {
  const optimizer = adam(options);
  return tf.tidy(() => {
    let values: tf.Tensor[] = [tf.tensor1d([1, -2, 0.5, 3]), tf.tensor2d([[0.25], [-0.75]])];
    let state = optimizer.init(values);
    for (let step = 0; step < 5; step++) {
      const gradients = [
        tf.mul(tf.tensor1d([0.1, -0.2, 0, 1.5]), scale * (step + 1) * (-1) ** step),
        tf.mul(tf.tensor2d([[2], [-0.3]]), scale / (step + 1)),
      ];
      const weights = values.map((value, i) => ({ value, gradient: gradients[i] as tf.Tensor, group: 0 }));
      ({ weights: values, state } = optimizer.update(weights, state, scalarsOf(optimizer.numbers(step))));
    }
    return values.flatMap((value) => Array.from(value.dataSync()));
  });
}

const scalarsOf = (numbers: Numbers): Scalars =>
  mapLeaves(numbers, (value) => tf.scalar(value as number)) as unknown as Scalars;
const one = (value: tf.Tensor, gradient: tf.Tensor = value) => [{ value, gradient, group: 0 }];

function expectClose(given: readonly number[], expected: readonly number[], tolerance = 2e-6) {
  expect(given).toHaveLength(expected.length);
  given.forEach((value, i) => {
    expect(Math.abs(value - (expected[i] as number))).toBeLessThan(tolerance);
  });
}

/*
 * Made with PyTorch 2.15.0 in float64: torch.optim.Adam and AdamW with the options of each case, five steps with
 * p.grad = [0.1, −0.2, 0, 1.5]·(t+1)·(−1)^t and q.grad = [[2], [−0.3]]/(t+1) for t = 0 … 4.
 */
test.each<[AdamOptions, number[]]>([
  [{ learningRate: 0.1 }, [0.903257365, -1.90325736, 0.5, 2.903257356, -0.190146087, -0.309853931]],
  [
    { learningRate: 0.01, beta1: 0.8, beta2: 0.95, epsilon: 1e-3 },
    [0.990615513, -1.990571762, 0.5, 2.990533485, 0.20715725, -0.707332258],
  ],
  [
    { learningRate: 0.1, weightDecay: 0.3 },
    [0.771595969, -1.630329991, 0.429367013, 2.489064013, -0.198227333, -0.231139697],
  ],
])("agrees with PyTorch's Adam and AdamW: %o", (options, expected) => {
  expectClose(fiveSteps(options), expected);
});

test('the first step is η · sign(g), whatever the size of g', () => {
  tf.tidy(() => {
    const optimizer = adam({ learningRate: 0.25, warmup: 5, epsilon: 1e-20 });
    const w = tf.tensor1d([0, 0, 0]);
    const weights = one(w, tf.tensor1d([1e-3, -7, 400]));
    const next = optimizer.update(weights, optimizer.init([w]), scalarsOf(optimizer.numbers(0)));
    const read = (tensor: tf.Tensor | undefined) => Array.from((tensor as tf.Tensor).dataSync());
    expectClose(read(next.weights[0]), [-0.05, 0.05, -0.05]);
    expectClose(read(next.state.m?.[0]), [1e-4, -0.7, 40], 1e-5);
    expectClose(read(next.state.v?.[0]), [1e-9, 0.049, 160], 1e-4);
  });
});

test('clipping to a norm that gradients of any size exceed makes their size irrelevant', () => {
  const clipped = (scale: number) => fiveSteps({ learningRate: 0.1, clipNorm: 1e-2, epsilon: 1e-3 }, scale);
  expectClose(clipped(1), clipped(1000));
  const loose = { learningRate: 0.1, clipNorm: 1e6 };
  expect(fiveSteps(loose)).toEqual(fiveSteps({ learningRate: 0.1 }));
});

const numbersOf = (optimizer: ReturnType<typeof adam>, step: number, progress = 0) =>
  optimizer.numbers(step, progress) as { rate: number; epsilon: number; keep?: number[] };

test('the rate follows warm-up and progress', () => {
  const ratio = (options: AdamOptions, step: number, progress: number) =>
    numbersOf(adam(options), step, progress).rate / numbersOf(adam({ learningRate: 1 }), step, progress).rate;
  expect(ratio({ learningRate: 2, warmup: 4 }, 0, 0)).toBeCloseTo(0.5, 12);
  expect(ratio({ learningRate: 2, warmup: 4 }, 3, 0)).toBeCloseTo(2, 12);
  expect(ratio({ learningRate: 2, warmup: 4 }, 90, 0)).toBeCloseTo(2, 12);
  expect(ratio({ learningRate: cosineDecay(2) }, 9, 0)).toBeCloseTo(2, 12);
  expect(ratio({ learningRate: cosineDecay(2) }, 9, 0.5)).toBeCloseTo(1, 12);
  expect(ratio({ learningRate: cosineDecay(2, 0.5) }, 9, 1)).toBeCloseTo(0.5, 12);
  expect(numbersOf(adam({ learningRate: cosineDecay(2) }), 9, 1).rate).toBe(0);
});

test('adamW keeps 1 − η·0.01 of the weights a step unless told otherwise; η follows warm-up', () => {
  const keep = (options: AdamOptions, step = 0) => numbersOf(adamW(options), step).keep?.at(-1);
  expect(keep({ learningRate: 0.5 })).toBeCloseTo(0.995, 12);
  expect(keep({ learningRate: 0.5, warmup: 10 }, 4)).toBeCloseTo(1 - 0.25 * 0.01, 12);
  expect(keep({ learningRate: 0.5, weightDecay: 0.2 })).toBeCloseTo(0.9, 12);
});

test('adamW leaves gains and biases to their gradients, unless a group says otherwise', () => {
  const still = async (options: Partial<AdamOptions>) => {
    const parameters = { kernel: tf.ones([2, 2]), bias: tf.ones([2]), gain: tf.scalar(1) };
    const result = await optimize({
      parameters,
      // No gradient at all: what moves is decay.
      loss: ({ kernel, bias, gain }, _: tf.Tensor) => tf.mul(tf.add(tf.sum(kernel), tf.add(tf.sum(bias), gain)), 0),
      inputs: () => tf.scalar(0),
      optimizer: adamW({ learningRate: 0.5, weightDecay: 0.2, ...options }),
      steps: 1,
    });
    const values = (['kernel', 'bias', 'gain'] as const).map((name) => result.parameters[name].dataSync()[0]);
    disposeState(result);
    tf.dispose(parameters);
    return values.map((value) => Number(value?.toFixed(5)));
  };
  return (async () => {
    expect(await still({})).toEqual([0.9, 1, 1]);
    expect(await still({ groups: [{ match: (path) => path === 'bias', weightDecay: 0.4 }] })).toEqual([0.9, 0.8, 1]);
    expect(await still({ groups: [{ match: (path) => path === 'kernel', rate: 0.5 }] })).toEqual([0.95, 1, 1]);
  })();
});

test('the corrections stay exact at the last digit after many steps', () => {
  expect(numbersOf(adam({ learningRate: 1 }), 0).rate).toBeCloseTo(Math.sqrt(1e-3) / 0.1, 12);
  expect(numbersOf(adam({ learningRate: 1 }), 10_000_000).rate).toBe(1);
});

test('owns nothing but its results', () => {
  const before = tf.memory().numTensors;
  const [a, b] = [tf.ones([2]), tf.ones([3])];
  const optimizer = adam({ learningRate: 1, clipNorm: 1, weightDecay: 0.1 });
  const state = optimizer.init([a, b]);
  expect(Object.keys(flatten<tf.Tensor>(state as never))).toEqual(['m.0', 'm.1', 'v.0', 'v.1']);
  expect(tf.memory().numTensors).toBe(before + 6);
  const scalars = scalarsOf(optimizer.numbers(0));
  const next = optimizer.update([...one(a), { value: b, gradient: null, group: 0 }], state, scalars);
  expect(tf.memory().numTensors).toBe(before + 6 + 3 + 6);
  expect(next.weights[1]?.dataSync()).toEqual(b.dataSync());
  tf.dispose([a, b, state, scalars, next] as unknown as tf.TensorContainer);
});

test.each<[Record<string, unknown>, RegExp]>([
  [{ learningRate: -1 }, /learningRate is -1/],
  [{ learningRate: Number.NaN }, /learningRate is NaN/],
  [{ learningRate: 1, beta1: 1 }, /beta1 is 1; it must lie in \[0, 1\)/],
  [{ learningRate: 1, beta2: -0.1 }, /beta2 is -0.1/],
  [{ learningRate: 1, epsilon: 0 }, /epsilon is 0/],
  [{ learningRate: 1, weightDecay: -1 }, /weightDecay is -1/],
  [{ learningRate: 1, clipNorm: 0 }, /clipNorm is 0/],
  [{ learningRate: 1, warmup: 1.5 }, /warmup is 1.5/],
  [{ learningRate: 1, betas: [0.9, 0.99] }, /does not know the option "betas"/],
])('refuses %o', (options, message) => {
  expect(() => adam(options as unknown as AdamOptions)).toThrow(message);
});

test('names what is missing', () => {
  tf.tidy(() => {
    const optimizer = adam({ learningRate: () => -3 });
    expect(() => optimizer.numbers(4)).toThrow(/the learning rate of step 4 is -3/);
    const w = tf.ones([1]);
    const scalars = { rate: tf.scalar(1), epsilon: tf.scalar(1) };
    expect(() => optimizer.update(one(w), {}, scalars)).toThrow(/state has no m and v for vector 0/);
    expect(() => optimizer.update(one(w), optimizer.init([w]), {})).toThrow(/scalars lacks rate, epsilon or keep/);
    expect(() => adam({ learningRate: 1, groups: [{ match: () => true, rate: -1 }] })).toThrow(/rate of group 0 is -1/);
  });
});

test.each([true, false])("the backend's kernel makes the step that its operations make, with decay %s", (decays) => {
  tf.tidy(() => {
    const vector = (seed: number) => normal(key(seed), [100_003]);
    const moments = { p: vector(1), g: vector(2), m: vector(3), v: tf.square(vector(4)) };
    const scalars = {
      rate: tf.scalar(0.01),
      epsilon: tf.scalar(1e-8),
      keep: decays ? tf.scalar(0.99) : undefined,
    };
    const run = (method: AdamMethod) => adamStep(moments, scalars, { beta1: 0.9, beta2: 0.999 }, method);
    const composed = run('composed');
    run(adamMethod()).forEach((value, i) => {
      const gap = tf.max(tf.abs(tf.sub(value, composed[i] as tf.Tensor))).dataSync()[0] as number;
      expect(gap).toBeLessThan(1e-6);
    });
  });
});
