import { type Cost, gaussianMixture, inTurn, joined, key, labels, ONE_CALL } from '@logsnr/core';
import { cfgPlusPlus, classifierFree, clipX, interval } from '@logsnr/guidance';
import { native } from '@logsnr/tensorflow';
import { expect, test } from 'vitest';
import { compileSampler, ddim, type Sampler, trajectory } from './index.js';

const { model } = gaussianMixture([
  { mean: [-1], std: 0.5 },
  { mean: [1], std: 0.5 },
]);
const classes = labels(2);
const options = { condition: classes.of([0, 1]), lambdas: [-2, 0, 2], shape: [2, 1], key: key(0), sampler: ddim() };
const pair = joined(ONE_CALL, 2);
/** The cost of each step, eager and compiled alike. */
function costs(guided: typeof model, sampler: Sampler<null> = ddim()): (Cost | undefined)[] {
  const eager = [...trajectory({ ...options, model: guided, sampler })].map(({ cost }) => cost);
  const compiled = compileSampler(native(), { model: guided, sampler });
  expect([...compiled.trajectory(options)].map(({ cost }) => cost)).toEqual(eager);
  compiled.dispose();
  return eager;
}

test('each step says what its model calls cost', () => {
  expect(costs(model)).toEqual([ONE_CALL, ONE_CALL, ONE_CALL]);
  expect(costs(classifierFree(model, classes, 1, { evaluation: 'split' }))).toEqual(
    Array(3).fill({ calls: 2, evaluations: 2, batch: 1, gradients: 0 }),
  );
  expect(costs(classifierFree(model, classes, interval(1, { lambda: [-1, 1] })))).toEqual([ONE_CALL, pair, ONE_CALL]);
  expect(costs(cfgPlusPlus(model, classes, -0.5))).toEqual([pair, pair, pair]);
  expect(costs(clipX(classifierFree(model, classes, 1)))).toEqual([pair, pair, pair]);
});

test('a step that calls the model twice costs both', () => {
  const twice: Sampler<null> = {
    ...ddim(),
    step(context, state) {
      context.predict(context.z, context.from);
      return ddim().step(context, state);
    },
  };
  expect(costs(classifierFree(model, classes, 1), twice)).toEqual(Array(3).fill(inTurn(pair, pair)));
});
