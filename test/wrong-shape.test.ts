import {
  defineModel,
  derive,
  type EpsFunction,
  eager,
  key,
  labels,
  type Model,
  type ModelLike,
  ONE_CALL,
  type Prediction,
  readModel,
  withCondition,
} from '@logsnr/core';
import {
  autoguidance,
  cfgPlusPlus,
  classifierFree,
  classifierGuidance,
  composed,
  independentCondition,
  negative,
  perturbedGuidance,
  posteriorSampling,
  seeded,
  staticThreshold,
  thresholdX,
  timeStepGuidance,
  uniformLabels,
  zeroInit,
} from '@logsnr/guidance';
import { bind, discreteModel } from '@logsnr/networks';
import { compileSampler, ddim, invert, predictEps, sample, walk } from '@logsnr/samplers';
import { discrete, linearBetas } from '@logsnr/schedules';
import { native } from '@logsnr/tensorflow';
import { add, memory, sum, type Tensor, type Tensor1D, zeros } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';

const [n, size] = [4, 8];
const classes = labels(3);
const c = classes.of([0, 1, 2, 0]);
const other = classes.of([1, 2, 0, 1]);
const options = { sampler: ddim(), lambdas: [-2, 0, 2], shape: [n, size], key: key(1) };

/** 64 values for 32; and shapes that z would be broadcast with, without a word. */
const shapes: [string, (z: Tensor) => number[]][] = [
  ['twice as wide', (z) => [z.shape[0] as number, 2 * size]],
  ['one value a sample', (z) => [z.shape[0] as number, 1]],
  ['one sample', () => [1, size]],
  ['a rank more', (z) => [1, ...z.shape]],
  ['one number', () => []],
];
/** An ε̂ of another shape that depends on z, so a graph cannot hold it as a constant. */
const wrong =
  (shapeOf: (z: Tensor) => number[]): EpsFunction<Tensor1D> =>
  (z) =>
    add(zeros(shapeOf(z)), sum(z));

const plain = (output: EpsFunction<Tensor1D>): Model<Tensor1D> => readModel(output);
const read =
  (prediction: Prediction) =>
  (output: EpsFunction<Tensor1D>): ModelLike<Tensor1D> =>
    readModel(output, { prediction });
/** Written out, by none of the makers. */
const byHand = (output: EpsFunction<Tensor1D>): Model<Tensor1D> => {
  const model: Model<Tensor1D> = {
    predict(z, lambda, condition) {
      const eps = output(z, lambda, condition);
      return { x: eps.clone(), eps, renoise: null, variance: null, memory: null };
    },
    start: () => null,
    cost: () => ONE_CALL,
    at: () => model,
    gives: { renoise: false, variance: false },
  };
  return model;
};
const network = (output: EpsFunction<Tensor1D>) => ({
  parameters: {},
  init: () => ({}),
  apply: (_: unknown, { z, lambda, condition }: { z: Tensor; lambda: Tensor1D; condition: Tensor1D }) =>
    output(z, lambda, condition),
});

const makers: [string, (output: EpsFunction<Tensor1D>) => ModelLike<Tensor1D>][] = [
  ['a plain function', (output) => output],
  ...(['eps', 'x', 'v', 'score'] as const).map((kind): [string, ReturnType<typeof read>] => [
    `readModel of ${kind}`,
    read(kind),
  ]),
  [
    'defineModel whose x̂ is wrong',
    (output) =>
      defineModel({
        predict: (z, lambda, label) => ({ x: output(z, lambda, label), eps: z.clone() }),
        cost: () => ONE_CALL,
      }),
  ],
  [
    'defineModel whose ε̂ is wrong',
    (output) =>
      defineModel({
        predict: (z, lambda, label) => ({ x: z.clone(), eps: output(z, lambda, label) }),
        cost: () => ONE_CALL,
      }),
  ],
  [
    'defineModel whose variance is wrong',
    (output) =>
      defineModel({
        predict: (z, lambda, label) => ({ x: z.clone(), eps: z.clone(), variance: output(z, lambda, label) }),
        cost: () => ONE_CALL,
        gives: { variance: true },
      }),
  ],
  [
    'derive',
    (output) =>
      derive<[Model<Tensor1D>], Tensor1D>([plain((z) => z.clone())], ([inner]) => ({
        predict: (z, lambda, label, memory) => ({
          ...inner.predict(z, lambda, label, memory),
          eps: output(z, lambda, label),
        }),
        cost: inner.cost,
      })),
  ],
  ['withCondition', (output) => withCondition(byHand(output), (label: Tensor1D) => label)],
  ['bind', (output) => bind(network(output), {})],
  ['discreteModel', (output) => discreteModel(output, discrete(linearBetas()))],
  ['a model written by hand', byHand],
  ['a model with a part replaced', (output) => ({ ...byHand(output), cost: () => ONE_CALL })],
];

const measured = { condition: c, measurement: zeros([n, size]) };
const wrappers: [string, (m: ModelLike<Tensor1D>) => Model<never>, unknown][] = [
  ['classifierFree', (m) => classifierFree(m, classes, 1), c],
  ['classifierFree, split', (m) => classifierFree(m, classes, 1, { evaluation: 'split' }), c],
  ['classifierFree, w = 0', (m) => classifierFree(m, classes, 0), c],
  ['autoguidance', (m) => autoguidance(m, m, 1), c],
  ['autoguidance by it', (m) => autoguidance((z: Tensor) => z.clone(), m, 1), c],
  ['perturbedGuidance', (m) => perturbedGuidance(m, m, classes, { w: 1, weakWeight: 1 }), c],
  ['negative', (m) => negative(m, classes, 1), { condition: c, negative: other }],
  ['composed', (m) => composed(m, classes, [1, 0.5]), [c, other]],
  ['cfgPlusPlus', (m) => cfgPlusPlus(m, classes, -0.5), c],
  ['classifierGuidance', (m) => classifierGuidance(m, (z) => sum(z, 1) as Tensor1D, 1), c],
  ['posteriorSampling', (m) => posteriorSampling(m, (x) => x, 0.1), measured],
  ['independentCondition', (m) => independentCondition(m, classes, uniformLabels, 1), seeded(c, key(1), n, [3])],
  ['timeStepGuidance', (m) => timeStepGuidance(m, classes, 0.5, 1), seeded(c, key(2), n)],
  ['thresholdX', (m) => thresholdX(m, staticThreshold(-9, 9)), c],
  ['zeroInit', (m) => zeroInit(m, -15), c],
];

/** Runs eagerly and in a graph: each must name the shape that came and that of z, and leave nothing behind. */
function expectRefused(like: ModelLike<never>, condition: unknown): void {
  const model = like as ModelLike<unknown>;
  for (const runtime of [null, eager, native()]) {
    const before = memory().numTensors;
    const compiled = runtime && compileSampler(runtime, { model, sampler: options.sampler });
    const run = () =>
      compiled ? compiled.sample({ ...options, condition }) : sample({ ...options, model, condition });
    expect(run).toThrow(/has shape \[[\d, ]*\]; it must be \[\d+, 8\]/);
    compiled?.dispose();
    expect(memory().numTensors).toBe(before);
  }
}

describe.each(shapes)('a model’s output of another shape is refused: %s', (_, shapeOf) => {
  test.each(makers)('%s', (_, make) => {
    expectRefused(make(wrong(shapeOf)), c);
  });

  test.each(wrappers)('%s, around a function and a model written by hand', (_, wrap, condition) => {
    expectRefused(wrap(wrong(shapeOf)), condition);
    expectRefused(wrap(byHand(wrong(shapeOf))), condition);
  });
});

test('what is no tensor is refused by name', () => {
  const run = (model: unknown) => () => sample({ ...options, model: model as EpsFunction<Tensor1D>, condition: c });
  const says = (what: string) => `the model's output is no tensor but ${what}; it must be a tensor of shape [4, 8].`;
  expect(run(async (z: Tensor) => z.clone())).toThrow(says('Promise'));
  expect(run((z: Tensor) => [z])).toThrow(says('Array'));
  expect(run(() => {})).toThrow(says('undefined'));
  expect(run(() => 3)).toThrow(says('Number'));
});

test('a walk without a model refuses it too', () => {
  const predict = predictEps((z: Tensor) => sum(z, 1, true));
  const walked = walk({ ...options, predict, z: zeros([n, size]), noise: () => zeros([n, size]) });
  expect(() => [...walked]).toThrow("the model's output has shape [4, 1]; it must be [4, 8].");
});

test('invert refuses it too', () => {
  const x = zeros([n, size]);
  for (const make of [plain, byHand])
    expect(() => invert({ ...options, model: make(wrong(() => [n, 1])), condition: c, x })).toThrow('has shape [4, 1]');
});
