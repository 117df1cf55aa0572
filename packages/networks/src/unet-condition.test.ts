import { flatten, key, unflatten } from '@logsnr/core';
import { linear, module, ops, type Parameters, shapesOf } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, random, randomised } from '../../../test/modules.js';
import { unet } from './unet.js';
import type { UnetCondition } from './unet-condition.js';
import type { UnetConfig } from './unet-config.js';

const config: UnetConfig = {
  height: 4,
  width: 4,
  channels: 1,
  classes: 0,
  base: 4,
  multipliers: [1, 2],
  blocks: 1,
  groups: 2,
};
const [z, lambda] = [random<tf.Tensor4D>(1, 2, 4, 4, 1), tf.tensor1d([-2, 3])];

// As a user writes them, outside of this package.
interface LowResolution {
  readonly small: tf.Tensor4D;
  readonly noise: tf.Tensor2D;
}
const superResolution: UnetCondition<LowResolution> = {
  channels: 1,
  module: module({ noise: linear(1, 16) }, ({ noise }, { condition }: { condition: LowResolution }) => ({
    image: ops.upsample(condition.small),
    vector: noise(condition.noise) as tf.Tensor2D,
  })),
};
const text: UnetCondition<tf.Tensor3D> = {
  name: 'text',
  module: module({ project: linear(5, 16) }, ({ project }, { condition }: { condition: tf.Tensor3D }) => ({
    vector: project(tf.mean(condition, 1)) as tf.Tensor2D,
  })),
  check(condition, n) {
    if (condition.shape[0] !== n) throw new RangeError(`there are ${condition.shape[0]} texts for ${n} samples.`);
  },
};

describe('a U-Net with a condition of one’s own', () => {
  test('sees an image beside z, and a vector', () => {
    const network = unet(config, { condition: superResolution });
    const shapes = shapesOf(network);
    expect(shapes['in.kernel']).toEqual([3, 3, 2, 4]);
    expect(shapes['condition.noise.kernel']).toEqual([1, 16]);
    expect(shapes['out.kernel']).toEqual([3, 3, 4, 1]);
    const parameters = randomised(network);
    const condition = { small: random<tf.Tensor4D>(2, 2, 2, 2, 1), noise: random<tf.Tensor2D>(3, 2, 1) };
    const run = (change: Partial<LowResolution>) =>
      network.apply(parameters, { z, lambda, condition: { ...condition, ...change } });
    const whole = run({});
    expect(whole.shape).toEqual([2, 4, 4, 1]);
    expect(difference(run({ small: random<tf.Tensor4D>(4, 2, 2, 2, 1) }), whole)).toBeGreaterThan(1e-3);
    expect(difference(run({ noise: random<tf.Tensor2D>(4, 2, 1) }), whole)).toBeGreaterThan(1e-3);
    expectNoLeak(() => [run({})]);
  });

  test('whose image counts for nothing is the one without it', () => {
    const network = unet(config, { condition: superResolution });
    const parameters = flatten<tf.Tensor>(randomised(network));
    const kernel = parameters['in.kernel'] as tf.Tensor4D;
    const seen = tf.slice(kernel, [0, 0, 0, 0], [3, 3, 1, 4]);
    const without = unflatten({ ...parameters, 'in.kernel': seen }) as Parameters;
    const blind = unflatten({ ...parameters, 'in.kernel': tf.concat([seen, tf.zerosLike(seen)], 2) }) as Parameters;
    const condition = { small: random<tf.Tensor4D>(2, 2, 2, 2, 1), noise: tf.zeros([2, 1]) as tf.Tensor2D };
    // No noise level: the embedding gets the bias alone, which is 0 here.
    const bias = (own: Parameters) => ({
      ...own,
      condition: { noise: { kernel: tf.zeros([1, 16]), bias: tf.zeros([16]) } },
    });
    const plain = unet(config).apply(without, { z, lambda, condition: tf.zeros([2]) as tf.Tensor1D });
    expect(difference(network.apply(bias(blind), { z, lambda, condition }), plain)).toBeLessThan(1e-5);
  });

  test('takes vectors of text, checks them, and has gradients by its own parameters', () => {
    const network = unet(config, { condition: text });
    const parameters = flatten<tf.Tensor>(randomised(network));
    const condition = random<tf.Tensor3D>(2, 2, 7, 5);
    const apply = (kernel: tf.Tensor) =>
      network.apply(unflatten({ ...parameters, 'text.project.kernel': kernel }) as Parameters, {
        z,
        lambda,
        condition,
      });
    const dy = random(5, 2, 4, 4, 1);
    const loss = (kernel: tf.Tensor) => tf.sum(tf.mul(apply(kernel), dy));
    const kernel = parameters['text.project.kernel'] as tf.Tensor;
    const slope = tf.grad(loss)(kernel);
    const length = tf.norm(slope).dataSync()[0] as number;
    const moved = (by: number) => loss(tf.add(kernel, tf.mul(slope, by / length))).dataSync()[0] as number;
    expect(Math.abs((moved(1e-2) - moved(-1e-2)) / 2e-2 - length) / length).toBeLessThan(1e-2);
    const wrong = { z, lambda, condition: random<tf.Tensor3D>(2, 3, 7, 5) };
    expect(() => network.apply(unflatten(parameters) as Parameters, wrong)).toThrow('there are 3 texts for 2 samples.');
  });

  test('refuses an embedding of another size, and a name that is taken', () => {
    expect(() => unet(config, { condition: { ...text, name: 'down' } })).toThrow(
      /name is "down", which the network has/,
    );
    const small: UnetCondition<tf.Tensor2D> = {
      module: module({}, (_, { condition }: { condition: tf.Tensor2D }) => ({ vector: condition })),
    };
    const network = unet(config, { condition: small });
    const run = () => network.apply(network.init(key(1)), { z, lambda, condition: random<tf.Tensor2D>(1, 2, 5) });
    expect(run).toThrow(/the embedding of the condition has shape \[2, 5\]; it must be \[2, 16\]/);
  });
});

test('a U-Net with dropout and twice the channels learns', () => {
  const network = unet({ ...config, outputs: 2, dropout: 0.1 });
  let parameters = flatten<tf.Tensor>(network.init(key(3)));
  const names = Object.keys(parameters);
  const target = tf.concat([z, tf.neg(z)], 3);
  const losses: number[] = [];
  for (let step = 0; step < 60; step++) {
    const context = { train: true, key: tf.tensor1d([step, 1], 'int32') };
    const loss = (...values: tf.Tensor[]) => {
      const own = unflatten(Object.fromEntries(names.map((name, i) => [name, values[i] as tf.Tensor]))) as Parameters;
      const y = network.apply(own, { z, lambda, condition: lambda }, context);
      return tf.mean(tf.squaredDifference(y, target)) as tf.Scalar;
    };
    const { value, grads } = tf.valueAndGrads(loss as never)(Object.values(parameters));
    losses.push(value.dataSync()[0] as number);
    parameters = Object.fromEntries(
      names.map((name, i) => [name, tf.sub(parameters[name] as tf.Tensor, tf.mul(grads[i] as tf.Tensor, 0.05))]),
    );
  }
  expect(losses[59] as number).toBeLessThan(0.5 * (losses[0] as number));
});
