import { type EpsFunction, epsOf, type Model } from '@logsnr/core';
import { mul, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { classes, mixture, values } from '../test/tools.js';
import {
  apg,
  autoguidance,
  cfgCache,
  cfgPlusPlus,
  cfgZeroStar,
  classifierFree,
  classifierGuidance,
  dynamicThreshold,
  everyKth,
  feedbackGuidance,
  feedbackSettings,
  type GuidanceChoice,
  guidanceName,
  guidanceOf,
  interval,
  mamboG,
  momentumGuidance,
  perturbedGuidance,
  readGuidance,
  rescale,
  rising,
  slidingMode,
  staticThreshold,
  tcfg,
  thresholdX,
  zeroInit,
} from './index.js';

const { model } = mixture;
const weaker: EpsFunction<Tensor1D> = (z, lambda, label) => tidy(() => mul(epsOf(model)(z, lambda, label), 0.9));
const lambdas = [-3, -2, 0, 3];
const parts = { model, conditioning: classes, weaker, logLikelihood: mixture.logPosterior, lambdas };
const free = (w: Parameters<typeof classifierFree>[2], rule?: ReturnType<typeof apg>) =>
  classifierFree(model, classes, w, rule ? { rule } : {});

const choices: [GuidanceChoice, Model<Tensor1D>, string][] = [
  [{ method: 'classifier-free', w: 2 }, free(2), 'classifier-free, w = 2'],
  [
    { method: 'classifier-free', w: { w: 2, sigma: [0.28, 2] }, rule: { apg: { eta: 0, norm: 1 } } },
    free(interval(2, { sigma: [0.28, 2] }), apg({ eta: 0, norm: 1 })),
    'classifier-free, w = 2 at 0.28 < σ ≤ 2, apg(eta 0, norm 1)',
  ],
  [
    { method: 'classifier-free', w: { w: 1, sigma: [null, 2] } },
    free(interval(1, { sigma: [0, 2] })),
    'classifier-free, w = 1 at σ ≤ 2',
  ],
  [
    { method: 'classifier-free', w: { w: 1, lambda: [-1, null] }, rule: 'tcfg' },
    free(interval(1, { lambda: [-1, Number.POSITIVE_INFINITY] }), tcfg),
    'classifier-free, w = 1 at -1 ≤ λ, tcfg',
  ],
  [
    { method: 'classifier-free', w: { w: 1, rising: { powered: 2 }, floor: 0.2 }, rule: { mamboG: 1 } },
    free(rising(1, { powered: 2 }, 0.2), mamboG(1)),
    'classifier-free, w = 1 rising (powered 2), at least 0.2, mamboG 1',
  ],
  [
    {
      method: 'classifier-free',
      w: 1,
      rule: { rescale: 0.5, of: { cfgZeroStar: { prediction: 'eps' } } },
      zeroInit: -1,
    },
    zeroInit(free(1, rescale(0.5, cfgZeroStar({ prediction: 'eps' }))), -1),
    'classifier-free, w = 1, rescale 0.5, of(cfgZeroStar(prediction eps)), velocity 0 up to λ = -1',
  ],
  [
    { method: 'cfg-cache', w: 1, every: 2, first: 2, estimate: 'linear', of: 'v', evaluation: 'split' },
    cfgCache(model, classes, 1, everyKth(lambdas, 2, { first: 2 }), {
      estimate: 'linear',
      of: 'v',
      evaluation: 'split',
    }),
    'cfg-cache, w = 1, every 2, first 2, estimate linear, of v, evaluation split',
  ],
  [
    { method: 'classifier-free', w: 1, rule: { slidingMode: { gain: 0.1 } }, momentum: { w: 0.5, beta: 0.2 } },
    momentumGuidance(free(1, slidingMode({ gain: 0.1 })), 0.5, { beta: 0.2 }),
    'classifier-free, w = 1, slidingMode(gain 0.1), momentum 0.5, beta 0.2',
  ],
  [
    { method: 'feedback', w: 0.5, pi: 0.9, t0: 0.5, t1: 0.25, maxW: 4, evaluation: 'split' },
    feedbackGuidance(
      model,
      classes,
      { ...feedbackSettings(lambdas, { pi: 0.9, t0: 0.5, t1: 0.25 }), maxW: 4, w: 0.5 },
      { evaluation: 'split' },
    ),
    'feedback, w = 0.5, pi 0.9, t0 0.5, t1 0.25, maxW 4, evaluation split',
  ],
  [
    { method: 'autoguidance', w: 1, threshold: { static: [-1, 1] } },
    thresholdX(autoguidance(model, weaker, 1), staticThreshold()),
    'autoguidance, w = 1, threshold static -1 1',
  ],
  [
    { method: 'perturbed', w: 1, weakWeight: 0.5, threshold: { dynamic: { ratio: 0.9 } } },
    thresholdX(perturbedGuidance(model, weaker, classes, { w: 1, weakWeight: 0.5 }), dynamicThreshold({ ratio: 0.9 })),
    'perturbed, w = 1, weakWeight 0.5, threshold dynamic(ratio 0.9)',
  ],
  [
    { method: 'perturbed', w: { w: 1, steps: [0.25, 0.75] }, weakWeight: { w: 2, lambda: [0, null] } },
    perturbedGuidance(model, weaker, classes, {
      w: interval(1, { lambda: [-2, 1] }),
      weakWeight: interval(2, { lambda: [0, Number.POSITIVE_INFINITY] }),
    }),
    'perturbed, w = 1 at steps 0.25 to 0.75, weakWeight 2 at 0 ≤ λ',
  ],
  [{ method: 'classifier', w: 1 }, classifierGuidance(model, mixture.logPosterior, 1), 'classifier, w = 1'],
];

describe('guidanceOf', () => {
  test.each(choices)('%j, through JSON, is what its functions make', (choice, direct, name) => {
    const read = readGuidance(JSON.parse(JSON.stringify(choice)));
    expect(read).toEqual(choice);
    expect(values(guidanceOf(read, parts))).toEqual(values(direct));
    for (const lambda of lambdas) expect(guidanceOf(read, parts).cost(lambda)).toEqual(direct.cost(lambda));
    expect(guidanceName(read)).toBe(name);
  });

  test('CFG++ gives its second ε̂ too', () => {
    const made = guidanceOf({ method: 'cfg-plus-plus', w: -0.4 }, parts);
    expect(made.gives).toEqual(cfgPlusPlus(model, classes, -0.4).gives);
    expect(made.gives.renoise).toBe(true);
  });

  test('says what does not fit, and where', () => {
    const refused = (value: unknown, message: string | RegExp) => {
      expect(() => readGuidance(value)).toThrow(RangeError);
      expect(() => readGuidance(value)).toThrow(message);
    };
    refused({ method: 'magic', w: 1 }, /method does not fit.*classifier-free/);
    refused({ method: 'classifier-free' }, "guidance's w does not fit");
    refused({ method: 'classifier-free', w: 'much' }, 'a weight is a finite number');
    refused({ method: 'classifier-free', w: Number.NaN }, 'a weight is a finite number');
    refused({ method: 'classifier-free', w: { w: 1, sigma: [1] } }, 'a weight is');
    refused({ method: 'classifier-free', w: 1, rule: 'apg' }, 'a rule is "extrapolate"');
    refused({ method: 'classifier-free', w: 1, rule: { rescale: 1, of: 'none' } }, 'a rule is');
    refused({ method: 'classifier-free', w: 1, threshold: 0.9 }, 'a threshold is');
    refused({ method: 'classifier-free', w: 1, scale: 7.5 }, "guidance's scale does not fit");
    refused({ method: 'cfg-cache', w: 1, every: 0 }, "guidance's every does not fit");
    refused({ method: 'cfg-cache', w: 1 }, "guidance's every does not fit");
    refused(null, 'the guidance does not fit');
    refused('classifier-free', 'the guidance does not fit');
  });

  test('says which part a method lacks, and refuses numbers as the functions do', () => {
    const alone = { model, conditioning: classes };
    expect(() => guidanceOf({ method: 'autoguidance', w: 1 }, alone)).toThrow('needs `weaker`');
    expect(() => guidanceOf({ method: 'classifier', w: 1 }, alone)).toThrow('needs `logLikelihood`');
    expect(() => guidanceOf({ method: 'cfg-cache', w: 1, every: 2 }, alone)).toThrow('needs `lambdas`');
    expect(() => guidanceOf({ method: 'classifier-free', w: { w: 1, steps: [0, 1] } }, alone)).toThrow(
      'needs `lambdas`',
    );
    expect(() => guidanceOf({ method: 'feedback', w: 0, pi: 0.9, t0: 0.5, t1: 0.4 }, alone)).toThrow('needs `lambdas`');
    expect(() => guidanceOf({ method: 'classifier-free', w: 1, rule: { rescale: 2 } }, alone)).toThrow('phi is 2');
    expect(() => guidanceOf({ method: 'classifier-free', w: { w: 1, sigma: [2, 1] } }, alone)).toThrow('interval');
  });
});
