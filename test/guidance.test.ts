import {
  alpha,
  alphaSigma,
  epsOf,
  gaussianMixture,
  key,
  labels,
  type ModelLike,
  normal,
  perSample,
  sigma,
} from '@logsnr/core';
import {
  autoguidance,
  cads,
  cfgPlusPlus,
  classifierFree,
  classifierGuidance,
  inpainting,
  logits,
  posteriorSampling,
  seeded,
  seededConditioning,
} from '@logsnr/guidance';
import { bind, classEmbeddings, discreteModel, noisyClassifier, onEmbeddings, unet } from '@logsnr/networks';
import { ancestral, compileSampler, ddim, sample } from '@logsnr/samplers';
import { discrete, linearBetas } from '@logsnr/schedules';
import { compile, native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { randomised } from './modules.js';

const difference = (a: tf.Tensor, b: tf.Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] as number;

describe('CFG++ with the samplers that renoise', () => {
  const mixture = gaussianMixture([
    { mean: [-1], std: 0.4 },
    { mean: [1], std: 0.6, weight: 2 },
  ]);
  const classes = labels(2);
  const condition = classes.of([0, 1]);
  const lambdas = [-4, -2, 0, 1.5, 3];
  const start = [0.7, -1.1];
  const options = { condition, lambdas, shape: [2, 1], key: key(1), z: tf.tensor2d(start, [2, 1]) };

  test('DDIM is algorithm 2 of the paper, by hand in float64', () => {
    const w = -0.4;
    const got = sample({ ...options, model: cfgPlusPlus(mixture.model, classes, w), sampler: ddim() }).dataSync();
    start.forEach((first, label) => {
      let z = first;
      lambdas.forEach((lambda, i) => {
        const [own, none] = [mixture.eps([z], lambda, label)[0], mixture.eps([z], lambda)[0]] as [number, number];
        const guided = none + (1 + w) * (own - none); // the paper's λ is 1 + w
        const x = (z - sigma(lambda) * guided) / alpha(lambda);
        const to = lambdas[i + 1] ?? Number.POSITIVE_INFINITY;
        z = alpha(to) * x + (to < Number.POSITIVE_INFINITY ? sigma(to) * none : 0);
      });
      expect(got[label]).toBeCloseTo(z, 4);
    });
  });

  test.each([ddim(), ancestral({ v: 0.3 })].map((s) => [s.name, s] as const))(
    '%s: w = −1 is unconditional sampling, compiled and not',
    (_, sampler) => {
      const whole = sample({ ...options, model: mixture.model, condition: classes.nullCondition(condition), sampler });
      const model = cfgPlusPlus(mixture.model, classes, -1);
      expect(difference(sample({ ...options, model, sampler }), whole)).toBeLessThan(2e-5);
      const drawing = compileSampler(native(), { model, sampler });
      expect(difference(drawing.sample(options), whole)).toBeLessThan(2e-5);
      drawing.dispose();
    },
  );
});

describe('on U-Nets, compiled and operation by operation', () => {
  const config = {
    height: 8,
    width: 8,
    channels: 1,
    classes: 3,
    base: 4,
    multipliers: [1, 2],
    blocks: 1,
    attention: [4],
    groups: 2,
  };
  const parameters = randomised(unet(config), 0);
  const model = bind(unet(config), parameters, { prediction: 'v' });
  const classes = labels(3);
  const [z, lambda, c] = [normal(key(90), [2, 8, 8, 1]), tf.tensor1d([-2, 1]), classes.of([0, 2])];
  const agree = <C>(guided: ModelLike<C>, condition: C) => {
    const eager = epsOf(guided)(z, lambda, condition);
    const compiled = compile(epsOf(guided));
    expect(difference(compiled(z, lambda, condition), eager)).toBeLessThan(1e-4);
    expect(difference(eager, epsOf(model)(z, lambda, c))).toBeGreaterThan(1e-3);
    compiled.dispose();
  };

  test.each([
    ['perturbed attention', { attention: 'identity' as const }],
    ['smoothed energy', { attention: { blur: 1 } }],
    ['skip-layer', { skip: ['middle.block.0'] }],
  ])('%s', (_, perturbation) => {
    const weak = bind(unet(config, perturbation), parameters, { prediction: 'v' });
    agree(autoguidance(model, weak, 2), c);
    expect(difference(epsOf(autoguidance(model, weak, 0))(z, lambda, c), epsOf(model)(z, lambda, c))).toBe(0);
  });

  test('classifier guidance by a noise-aware classifier', () => {
    const classifier = noisyClassifier(config);
    const weights = randomised(classifier, 0);
    agree(
      classifierGuidance(
        model,
        logits((z, lambda) => classifier.apply(weights, { z, lambda })),
        20,
      ),
      c,
    );
  });

  test('CADS on class embeddings, under classifier-free guidance', () => {
    const embeddings = classEmbeddings(parameters);
    const onVectors = bind(onEmbeddings(unet(config)), parameters, { prediction: 'v' });
    const condition = seeded(embeddings.of(c), key(7), 2, [16]);
    const guided = (scale: number) =>
      classifierFree(cads(onVectors, { scale, from: 0.1 }), seededConditioning(embeddings), 1);
    agree(guided(0.5), condition);
    const plain = epsOf(classifierFree(model, classes, 1))(z, lambda, c);
    expect(difference(epsOf(guided(0))(z, lambda, condition), plain)).toBeLessThan(1e-5);
  });

  test('posterior sampling differentiates through the network', () => {
    const mask = tf.tensor3d([1, 1, 0, 0, 0, 0, 0, 0], [8, 1, 1]);
    const measurement = tf.mul(normal(key(8), [2, 8, 8, 1]), mask);
    agree(posteriorSampling(model, inpainting(mask), 0.5), { condition: c, measurement });
  });
});

test('guidance around a discrete-time model that was not trained here is guidance around the model that it stands for', () => {
  const mixture = gaussianMixture([
    { mean: [-1, 0.2], std: 0.4 },
    { mean: [1, 0], std: 0.6 },
  ]);
  const classes = labels(2);
  const times = discrete(linearBetas());
  tf.tidy(() => {
    const table = tf.tensor1d([...times.lambdas]);
    // What a pre-trained DDPM is: a function of z and the number of the time, giving v.
    const pretrained = (z: tf.Tensor, t: tf.Tensor1D, c: tf.Tensor1D) => {
      const lambda = tf.gather(table, tf.cast(t, 'int32')) as tf.Tensor1D;
      const { alpha, sigma } = alphaSigma(lambda);
      const eps = epsOf(mixture.model)(z, lambda, c);
      return tf.div(tf.sub(eps, tf.mul(perSample(sigma, z), z)), perSample(alpha, z));
    };
    const model = discreteModel(pretrained, times, { prediction: 'v' });
    const lambda = tf.gather(table, tf.tensor1d([40, 300, 700], 'int32')) as tf.Tensor1D;
    const args = [normal(key(4), [3, 2]), lambda, classes.of([0, 1, 1])] as const;
    const guided = (m: ModelLike<tf.Tensor1D>) => epsOf(classifierFree(m, classes, 1.5))(...args);
    expect(difference(guided(model), guided(mixture.model))).toBeLessThan(1e-4);
    expect(difference(guided(model), epsOf(mixture.model)(...args))).toBeGreaterThan(0.1);
  });
});
