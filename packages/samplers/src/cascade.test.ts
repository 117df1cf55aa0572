import { alpha, eager, fold, free, key, normal, sigma } from '@logsnr/core';
import { native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { cascade, compileSampler, dpmSolverPP2M } from './index.js';

// y ~ N(0, s²), and x = y + N(0, t²): images of one pixel, whose conditionals are known at every noise level.
const [s, t] = [0.25, 0.1];
const lambdas = Array.from({ length: 60 }, (_, i) => -12 + (24 * i) / 59);

/** ε̂ of data N(mean, variance): σ (z − α mean)/(α² variance + σ²). */
const gaussian = (z: tf.Tensor, lambda: tf.Tensor1D, mean: tf.Tensor | number, variance: number): tf.Tensor =>
  tf.tidy(() => {
    const level = tf.reshape(lambda, [-1, 1]);
    const [signal, noise] = [tf.sigmoid(level), tf.sigmoid(tf.neg(level))];
    const error = tf.sub(z, tf.mul(tf.sqrt(signal), mean));
    return tf.mul(tf.sqrt(noise), tf.div(error, tf.add(tf.mul(signal, variance), noise)));
  });

type Noised = { image: tf.Tensor };
/** Draws y, then x given y with noise at the log-SNR `level`. */
function twoStages(level: number, runtime = eager) {
  const [a, b] = [alpha(level), sigma(level)];
  const gain = (a * s * s) / (a * a * s * s + b * b);
  const rest = s * s - gain * a * s * s + t * t;
  const [low, high] = [
    compileSampler(runtime, {
      model: (z: tf.Tensor, lambda: tf.Tensor1D, _: null) => gaussian(z, lambda, 0, s * s),
      sampler: dpmSolverPP2M(),
    }),
    compileSampler(runtime, {
      model: (z: tf.Tensor, lambda: tf.Tensor1D, { image }: Noised) => gaussian(z, lambda, tf.mul(image, gain), rest),
      sampler: dpmSolverPP2M(),
    }),
  ];
  const draw = cascade<null, Noised>(
    { draw: low, lambdas, shape: [1] },
    {
      ...{ draw: high, lambdas, shape: [1] },
      condition: (images, _, { key, firstSample }) => ({
        image: tf.tidy(() => tf.add(tf.mul(images, a), tf.mul(normal(key, images.shape, firstSample), b))),
      }),
    },
  );
  const dispose = () => {
    low.dispose();
    high.dispose();
  };
  return { draw, dispose };
}

const n = 20_000;
test.each([6, 3, 0])('at λ = %d of the image between the stages, the images have the right distribution', (level) => {
  const { draw, dispose } = twoStages(level);
  const [low, high] = draw({ condition: null, samples: n, key: key(1) }) as [tf.Tensor, tf.Tensor];
  const moment = (a: tf.Tensor, b: tf.Tensor) => tf.tidy(() => tf.mean(tf.mul(a, b)).dataSync()[0] as number);
  // The noise is accounted for: x varies as the data do, whatever the level; what is left of y in it is the gain's part.
  expect(moment(low, low) / s ** 2).toBeCloseTo(1, 1);
  expect(moment(high, high) / (s ** 2 + t ** 2)).toBeCloseTo(1, 1);
  const [a, b] = [alpha(level), sigma(level)];
  const kept = (a * a * s * s) / (a * a * s * s + b * b);
  expect(moment(low, high) / s ** 2).toBeCloseTo(kept, 1);
  free([low, high]);
  dispose();
});

test('a batch changes no sample, compiled or not, and nothing leaks', () => {
  const { draw, dispose } = twoStages(2);
  const whole = draw({ condition: null, samples: 5, key: key(3) });
  const parts = [0, 2].map((firstSample) =>
    draw({ condition: null, samples: firstSample ? 3 : 2, key: key(3), firstSample }),
  );
  const compiled = twoStages(2, native());
  const graphs = compiled.draw({ condition: null, samples: 5, key: key(3) });
  for (const stage of [0, 1]) {
    const values = [...(whole[stage] as tf.Tensor).dataSync()];
    expect(parts.flatMap((part) => [...(part[stage] as tf.Tensor).dataSync()])).toEqual(values);
    const others = (graphs[stage] as tf.Tensor).dataSync();
    for (const [i, value] of values.entries()) expect(others[i]).toBeCloseTo(value, 4);
  }
  // The stages' noises are different ones, and so are other keys'.
  const other = draw({ condition: null, samples: 5, key: fold(key(3), 1) });
  expect([...(other[0] as tf.Tensor).dataSync()]).not.toEqual([...(whole[0] as tf.Tensor).dataSync()]);
  free([whole, parts, graphs, other]);
  expectNoLeak(() => free(draw({ condition: null, samples: 2, key: key(3) })));
  compiled.dispose();
  dispose();
});

test('images go on within [−1, 1], and what fails leaves nothing', () => {
  const seen: number[] = [];
  const stage = (value: number) => ({
    ...{ lambdas, shape: [2] },
    draw: { sample: ({ shape }: { shape: readonly number[] }) => tf.fill([...shape], value) },
  });
  const condition = (images: tf.Tensor) => {
    seen.push(...images.dataSync());
    return tf.scalar(0);
  };
  const drawn = cascade<null, tf.Tensor>(
    stage(3),
    { ...stage(-2), condition },
    { ...stage(0.5), condition },
  )({
    ...{ condition: null, samples: 1, key: key(0) },
  });
  expect(seen).toEqual([1, 1, -1, -1]);
  expect(drawn.map((images) => images.dataSync()[0])).toEqual([3, -2, 0.5]);
  free(drawn);
  const broken = cascade<null, tf.Tensor>(stage(0), {
    ...stage(0),
    condition() {
      throw new Error('no condition');
    },
  });
  expectNoLeak(() => {
    expect(() => broken({ condition: null, samples: 1, key: key(0) })).toThrow('no condition');
  });
  expect(() => broken({ condition: null, samples: 0, key: key(0) })).toThrow(/samples is 0/);
});
