// A digit classifier of clean images that guides nothing: it judges the samples as in the MNIST example.
import { fold, type Key } from '@logsnr/core';
import { batch, shuffledIndices } from '@logsnr/data';
import type { mnist } from '@logsnr/data/node';
import { gaussianStatistics } from '@logsnr/metrics';
import { convClassifier } from '@logsnr/networks';
import { native } from '@logsnr/tensorflow';
import { adam, cosineDecay, optimize, progressLine } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';

type Data = Awaited<ReturnType<typeof mnist>>;

/** A trained judge: features, probabilities of the ten digits, and the features' statistics of the test images. */
export async function trainJudge(data: Data, key: Key, steps: number) {
  const network = convClassifier({ height: 28, width: 28, channels: 1, classes: 10 });
  const line = await progressLine({ label: 'judge' });
  const { parameters } = await optimize({
    parameters: network.init(fold(key, 0)),
    inputs: (step) => batch(data.train, shuffledIndices(fold(key, 1), data.train.count, step, 64)),
    loss: (weights, { images, labels }) => {
      const { logits } = network.apply(weights, images);
      return tf.neg(tf.mean(tf.sum(tf.mul(tf.oneHot(labels, 10), tf.logSoftmax(logits)), 1)));
    },
    optimizer: adam({ learningRate: cosineDecay(4e-3), warmup: 20 }),
    steps,
    onStep: line.update,
    runtime: native(),
  });
  line.stop();
  const judge = (images: tf.Tensor4D) => {
    const [n] = images.shape;
    const [features, probabilities]: [number[], number[]] = [[], []];
    for (let first = 0; first < n; first += 250)
      tf.tidy(() => {
        const result = network.apply(parameters, tf.slice(images, first, Math.min(250, n - first)));
        features.push(...result.features.dataSync());
        probabilities.push(...tf.softmax(result.logits).dataSync());
      });
    const matrix = (values: number[]) => ({ data: values, rows: n, columns: values.length / n });
    return { features: matrix(features), probabilities: matrix(probabilities) };
  };
  const test = judge(batch(data.test, [...Array(data.test.count).keys()]).images);
  return { judge, test, reference: gaussianStatistics(test.features) };
}
