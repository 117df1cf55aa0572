import { alpha, key, ONE_CALL, readModel, sigma } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, random, randomised } from '../../../test/modules.js';
import { bind } from './bind.js';
import { unet } from './unet.js';
import type { UnetConfig } from './unet-config.js';

const config: UnetConfig = {
  height: 4,
  width: 4,
  channels: 2,
  classes: 3,
  base: 4,
  multipliers: [1, 2],
  blocks: 1,
  groups: 2,
};
const [z, lambda, c] = [random(1, 2, 4, 4, 2), tf.tensor1d([-2, 3]), tf.tensor1d([0, 3], 'int32')];

describe('bind', () => {
  test.each(['eps', 'x', 'v', 'score'] as const)('reads the output as %s', (prediction) => {
    const network = unet(config);
    const parameters = randomised(network);
    const model = bind(network, parameters, { prediction });
    const { x, eps } = model.predict(z, lambda, c, null);
    const output = network.apply(parameters, { z, lambda, condition: c });
    const expected = readModel(() => output.clone(), { prediction }).predict(z, lambda, c, null);
    expect(difference(x, expected.x)).toBe(0);
    expect(difference(eps, expected.eps)).toBe(0);
    const scales = (f: (l: number) => number) => tf.reshape(tf.tensor1d([f(-2), f(3)]), [2, 1, 1, 1]);
    expect(difference(tf.add(tf.mul(scales(alpha), x), tf.mul(scales(sigma), eps)), z)).toBeLessThan(1e-4);
    expect(model.gives).toEqual({ renoise: false, variance: false });
    expectNoLeak(() => {
      const { x, eps } = model.predict(z, lambda, c, null);
      return [x, eps];
    });
  });

  test('takes a learned variance from the second half of the channels', () => {
    const network = unet({ ...config, outputs: 4 });
    const parameters = randomised(network);
    const model = bind(network, parameters, { prediction: 'eps', variance: 'range' });
    const { eps, variance } = model.predict(z, lambda, c, null);
    const [first, second] = tf.split(network.apply(parameters, { z, lambda, condition: c }), 2, 3);
    expect(difference(eps, first as tf.Tensor)).toBe(0);
    expect(difference(variance as tf.Tensor, tf.div(tf.add(second as tf.Tensor, 1), 2))).toBeLessThan(1e-6);
    expect(model.gives.variance).toBe(true);
    // The output alone fits neither reading of another number of channels.
    expect(() => bind(network, parameters).predict(z, lambda, c, null)).toThrow(/has shape \[2, 4, 4, 4\]/);
    const plain = unet(config);
    const ranged = bind(plain, randomised(plain), { variance: 'range' });
    expect(() => ranged.predict(z, lambda, c, null)).toThrow(/learned variance, has shape \[2, 4, 4, 2\]/);
    const wrong = bind(network, parameters, { variance: 'learned' as 'range' });
    expect(() => wrong.predict(z, lambda, c, null)).toThrow(/variance is "learned"; it must be "range"/);
  });

  test('states a cost, and never drops', () => {
    const network = unet({ ...config, dropout: 0.5 });
    const parameters = randomised(network);
    const cost = { ...ONE_CALL, calls: 3 };
    const model = bind(network, parameters, { cost });
    expect(model.cost(0)).toEqual(cost);
    expect(bind(network, parameters).cost(0)).toEqual(ONE_CALL);
    const without = unet(config).apply(parameters, { z, lambda, condition: c });
    expect(difference(model.predict(z, lambda, c, null).eps, without)).toBe(0);
    const drop = (seed: number) =>
      network.apply(parameters, { z, lambda, condition: c }, { train: true, key: tf.tensor1d([seed, 0], 'int32') });
    expect(difference(drop(1), drop(1))).toBe(0);
    expect(difference(drop(1), drop(2))).toBeGreaterThan(1e-3);
    expect(() => network.apply(parameters, { z, lambda, condition: c }, { train: true })).toThrow(/needs a key/);
    const fresh = network.init(key(1));
    expect(Object.keys(fresh)).toEqual(Object.keys(unet(config).init(key(1))));
  });
});
