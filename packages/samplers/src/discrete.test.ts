import { convert, epsOf, gaussianMixture, key, labels, type Prediction } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { discrete, discreteModel, linearBetas, respaced } from '@logsnr/schedules';
import { add, expandDims, mul, type Tensor, type Tensor1D, tensor1d } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { ancestral, ddim, heun, sample } from './index.js';

// A discrete-time model in closed form: it looks the log-SNR of its time up, and knows ε there.
const mixture = gaussianMixture([
  { mean: [-1, 0], std: 0.3 },
  { mean: [1, 0.6], std: 0.2 },
]);
const times = discrete(linearBetas());
const trained =
  (prediction: Prediction) =>
  (z: Tensor, t: Tensor1D, label: Tensor1D): Tensor => {
    const lambdas = [...t.dataSync()].map((t) => times.lambdas[t] as number);
    const column = (values: number[]) => expandDims(tensor1d(values), 1);
    const scales = lambdas.map((lambda) => convert('eps', prediction, lambda));
    const eps = epsOf(mixture.model)(z, tensor1d(lambdas), label);
    return add(mul(column(scales.map(({ z }) => z)), z), mul(column(scales.map(({ output }) => output)), eps));
  };

test.each(['eps', 'x', 'v'] as const)(
  'a discrete-time model that predicts %s samples as the mixture itself',
  (prediction) => {
    const classes = labels(2);
    const options = {
      condition: classes.of([0, 1, 1]),
      lambdas: respaced(times, 20, 'linspace'),
      shape: [3, 2],
      key: key(4),
    };
    const model = discreteModel(trained(prediction), times, { prediction, round: true });
    for (const sampler of [ddim(), ancestral({ v: 0.3 }), heun()]) {
      const expected = sample({ ...options, sampler, model: classifierFree(mixture.model, classes, 1) }).dataSync();
      const found = sample({ ...options, sampler, model: classifierFree(model, classes, 1) }).dataSync();
      found.forEach((value: number, i: number) => {
        expect(value).toBeCloseTo(expected[i] as number, 3);
      });
    }
  },
);
