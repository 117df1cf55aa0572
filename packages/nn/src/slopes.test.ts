import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { random } from '../../../test/modules.js';
import { expectSlopes } from '../../../test/slopes.js';
import * as nn from './index.js';

const image = (): tf.Tensor4D => random(1, 2, 4, 6, 4);
const rows = (): tf.Tensor3D => random(1, 2, 5, 8);
const modulated = () => ({ x: rows(), condition: random<tf.Tensor2D>(2, 2, 8) });
const conditioned = () => ({ x: image(), condition: random<tf.Tensor2D>(2, 2, 5) });
const block = { embedding: 5, groups: 2 };
const context = { train: true, key: tf.tensor1d([3, 4], 'int32') };

/** Every kind of layer in its forms. */
const layers: Readonly<Record<string, readonly (() => void)[]>> = {
  linear: [
    () => expectSlopes(nn.linear(4, 3), image()),
    () => expectSlopes(nn.linear(8, 3, { bias: false }), rows()),
    // Of the size that a kernel takes.
    () => expectSlopes(nn.linear(16, 32), random(1, 3, 5, 16)),
  ],
  conv: [
    () => expectSlopes(nn.conv(4, 3), image()),
    () => expectSlopes(nn.conv(4, 3, { size: 1, bias: false }), image()),
    () => expectSlopes(nn.conv(4, 3, { stride: 2, padding: 1 }), image()),
    () =>
      expectSlopes(
        nn.conv(4, 3, {
          stride: 2,
          padding: [
            [0, 1],
            [0, 1],
          ],
        }),
        image(),
      ),
    () => expectSlopes(nn.conv(16, 32), random<tf.Tensor4D>(1, 2, 9, 7, 16)),
  ],
  embedding: [() => expectSlopes(nn.embedding(4, 3), tf.tensor1d([2, 0, 2], 'int32'))],
  groupNorm: [
    () => expectSlopes(nn.groupNorm(4, 2), image()),
    () => expectSlopes(nn.groupNorm(4, 1, { silu: true, epsilon: 1e-2 }), image()),
  ],
  layerNorm: [
    () => expectSlopes(nn.layerNorm(8), rows()),
    () => expectSlopes(nn.layerNorm(8, { gain: false, bias: false, epsilon: 1e-2 }), rows()),
  ],
  attentionBlock: (['softmax', 'identity', { blur: 1 }] as const).map(
    (attends) => () => expectSlopes(nn.attentionBlock(4, { groups: 2, heads: 2, attends }), image()),
  ),
  attentionPool: [() => expectSlopes(nn.attentionPool(4, 3, { tokens: 24, heads: 2 }), image())],
  residualBlock: [
    () => expectSlopes(nn.residualBlock(4, 4, block), conditioned()),
    () => expectSlopes(nn.residualBlock(4, 6, { ...block, scaleShift: false, skipBias: true }), conditioned()),
    () => expectSlopes(nn.residualBlock(4, 4, { ...block, resample: 'down' }), conditioned()),
    () => expectSlopes(nn.residualBlock(4, 6, { ...block, resample: 'up' }), conditioned()),
    () => expectSlopes(nn.residualBlock(4, 4, { ...block, dropout: 0.3 }), conditioned(), { context }),
  ],
  transformerBlock: [() => expectSlopes(nn.transformerBlock(8, { heads: 2 }), modulated())],
  mlpBlock: [() => expectSlopes(nn.mlpBlock(8, { ratio: 2 }), modulated())],
  modulatedLinear: [() => expectSlopes(nn.modulatedLinear(8, 3), modulated())],
  dropout: [() => expectSlopes(nn.dropout(0.3), rows(), { context })],
  sequential: [() => expectSlopes(nn.sequential(nn.linear(8, 4), nn.operation<tf.Tensor, tf.Tensor>(tf.tanh)), rows())],
};

test.each(Object.entries(layers))('gradients of %s are those of finite differences', (_, forms) => {
  for (const form of forms) form();
});

test('every layer is among them', () => {
  // What makes no layer.
  const others =
    /^[A-Z]|^(constant|films|gaussian|lambdaFeatures|logProbability|module|operation|ops|shapesOf|timeFeatures|weight)$/;
  expect(Object.keys(layers).sort()).toEqual(
    Object.keys(nn)
      .filter((name) => !others.test(name))
      .sort(),
  );
});
