import { backendInfo, native, nativeBackend } from '@logsnr/tensorflow';
import { adamW, disposeState, optimize } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';

test.runIf(backendInfo()?.backend === 'tensorflow')('10,000 tiny steps leak nothing and hold memory flat', async () => {
  const parameters = { w: tf.ones([4, 4]), b: tf.zeros([4]) };
  const before = tf.memory().numTensors;
  const measure = () => [tf.memory().numTensors, nativeBackend().binding.getNumOfTensors(), process.memoryUsage().rss];
  const seen: number[][] = [];
  const result = await optimize({
    parameters,
    loss: ({ w, b }, x: tf.Tensor2D) =>
      tf.mean(tf.square(tf.sub(tf.add(tf.matMul(x, w as tf.Tensor2D), b as tf.Tensor), 1))),
    inputs: (step) => tf.fill([2, 4], Math.sin(step)) as tf.Tensor2D,
    optimizer: adamW({ learningRate: 0.01, clipNorm: 1 }),
    emaDecay: 0.99,
    steps: 10_000,
    runtime: native(),
    onStep({ step }) {
      if (step % 2000 === 0) seen.push(measure());
    },
  });
  expect(result.losses).toHaveLength(10_000);
  const [first, last] = [seen[0] as number[], seen.at(-1) as number[]];
  expect(last.slice(0, 2)).toEqual(first.slice(0, 2));
  // 8,000 steps: a kilobyte a step would be 8 MiB.
  expect((last[2] as number) - (first[2] as number)).toBeLessThan(8 * 2 ** 20);
  disposeState(result);
  expect(tf.memory().numTensors).toBe(before);
  tf.dispose(parameters);
});
