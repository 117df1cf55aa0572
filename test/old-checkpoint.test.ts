import { fileURLToPath } from 'node:url';
import { key, labels } from '@logsnr/core';
import { unet } from '@logsnr/networks';
import { shapesOf } from '@logsnr/nn';
import { loadCheckpoint } from '@logsnr/runs';
import { arctan } from '@logsnr/schedules';
import { adam, train } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';

// Six steps of this training at commit f581afd, whose parameters, averages and moments were flat records of names. Its own
// steps seven to ten had the losses below.
const flat = fileURLToPath(new URL('fixtures/flat-checkpoint.safetensors', import.meta.url));
const losses = [0.30915993452072144, 0.4086877107620239, 0.7258603572845459, 0.3980776369571686];

test('a checkpoint of flat parameters goes on as the code that wrote it did', async () => {
  const network = unet({
    ...{ height: 4, width: 4, channels: 1, classes: 3 },
    ...{ base: 4, multipliers: [1], blocks: 1, attention: [], groups: 2 },
  });
  const from = await loadCheckpoint(flat, { shapes: shapesOf(network) });
  expect(from.step).toBe(6);
  const state = await train({
    network,
    prediction: 'v',
    conditioning: labels(3),
    schedule: arctan({ lambdaMin: -8, lambdaMax: 8 }),
    batch: (step) => ({
      images: tf.tidy(() => tf.mul(tf.ones([4, 4, 4, 1]), Math.sin(step)) as tf.Tensor4D),
      condition: tf.tensor1d([0, 1, 2, 1], 'int32'),
    }),
    pUncond: 0.1,
    optimizer: adam({ learningRate: 1e-3 }),
    emaDecay: 0.9,
    key: key(5),
    steps: 10,
    from,
  });
  expect(state.step).toBe(10);
  state.losses.slice(-4).forEach((loss, i) => {
    expect(loss).toBeCloseTo(losses[i] as number, 5);
  });
});
