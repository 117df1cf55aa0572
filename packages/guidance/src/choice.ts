import type { Conditioning, Model, ModelLike } from '@logsnr/core';
import * as v from 'valibot';
import { apg } from './apg.js';
import { autoguidance, perturbedGuidance } from './autoguidance.js';
import { cfgCache, everyKth } from './cfg-cache.js';
import { cfgPlusPlus } from './cfg-plus-plus.js';
import { cfgZeroStar, zeroInit } from './cfg-zero-star.js';
import { classifierGuidance } from './classifier.js';
import { classifierFree } from './classifier-free.js';
import { feedbackGuidance, feedbackSettings } from './feedback.js';
import { frequencyDecoupled } from './frequency-decoupled.js';
import type { LogLikelihood } from './gradient.js';
import { mamboG } from './mambo-g.js';
import { momentumGuidance } from './momentum.js';
import { rescale } from './rescale.js';
import { extrapolate, type Rule } from './rule.js';
import { slidingMode } from './sliding-mode.js';
import { tcfg } from './tcfg.js';
import { dynamicThreshold, staticThreshold, thresholdX } from './threshold.js';
import { interval, rising, stepRange, type WeightSchedule } from './weight.js';

const number = v.pipe(v.number(), v.finite());
const pair = v.strictTuple([number, number]);
const weight = v.union(
  [
    number,
    // An end that is null is open, as JSON has no infinity.
    v.strictObject({ w: number, sigma: v.strictTuple([v.nullable(number), v.nullable(number)]) }),
    v.strictObject({ w: number, lambda: v.strictTuple([v.nullable(number), v.nullable(number)]) }),
    v.strictObject({ w: number, steps: pair }),
    v.strictObject({
      w: number,
      rising: v.union([v.picklist(['linear', 'cosine']), v.strictObject({ powered: number })]),
      floor: v.optional(number),
    }),
  ],
  'a weight is a finite number, {w, sigma: [low, high]}, {w, lambda: [low, high]}, {w, steps: [start, stop]} or {w, rising: "linear" | "cosine" | {powered}}',
);

/** How two predictions become one, as data: the name of a rule, or a rule's name with its settings. */
export type RuleChoice =
  | 'extrapolate'
  | 'tcfg'
  | {
      readonly apg: {
        readonly eta?: number | undefined;
        readonly norm?: number | undefined;
        readonly momentum?: number | undefined;
      };
    }
  | { readonly cfgZeroStar: { readonly prediction?: 'v' | 'flow' | 'eps' | undefined } }
  | { readonly slidingMode: { readonly gain?: number | undefined; readonly decay?: number | undefined } }
  | { readonly mamboG: number }
  | { readonly frequencyDecoupled: readonly number[] }
  | { readonly rescale: number; readonly of?: RuleChoice | undefined };

const rule: v.GenericSchema<RuleChoice> = v.union(
  [
    v.picklist(['extrapolate', 'tcfg']),
    v.strictObject({
      apg: v.strictObject({ eta: v.optional(number), norm: v.optional(number), momentum: v.optional(number) }),
    }),
    v.strictObject({ cfgZeroStar: v.strictObject({ prediction: v.optional(v.picklist(['v', 'flow', 'eps'])) }) }),
    v.strictObject({ slidingMode: v.strictObject({ gain: v.optional(number), decay: v.optional(number) }) }),
    v.strictObject({ mamboG: number }),
    v.strictObject({ frequencyDecoupled: v.array(number) }),
    v.strictObject({ rescale: number, of: v.optional(v.lazy(() => rule)) }),
  ],
  'a rule is "extrapolate", "tcfg", {apg: {eta, norm, momentum}}, {cfgZeroStar: {prediction}}, {slidingMode: {gain, decay}}, {mamboG: a}, {frequencyDecoupled: gains} or {rescale: phi, of: rule}',
);

const shared = {
  w: weight,
  /** Keeps x̂ within bounds. */
  threshold: v.optional(
    v.union(
      [
        v.strictObject({ static: pair }),
        v.strictObject({ dynamic: v.strictObject({ ratio: v.optional(number), maxValue: v.optional(number) }) }),
      ],
      'a threshold is {static: [low, high]} or {dynamic: {ratio, maxValue}}',
    ),
  ),
  /** Momentum guidance around the method. */
  momentum: v.optional(v.strictObject({ w: weight, beta: v.optional(number) })),
  /** CFG-Zero*'s zero velocity up to this λ. */
  zeroInit: v.optional(number),
};
const evaluation = v.optional(v.picklist(['joint', 'split']));
const schema = v.variant('method', [
  v.strictObject({ method: v.literal('classifier-free'), ...shared, rule: v.optional(rule), evaluation }),
  v.strictObject({
    method: v.literal('cfg-cache'),
    ...shared,
    every: v.pipe(v.number(), v.safeInteger(), v.minValue(1)),
    first: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(1))),
    estimate: v.optional(v.picklist(['hold', 'linear'])),
    of: v.optional(v.picklist(['eps', 'x', 'v'])),
    rule: v.optional(rule),
    evaluation,
  }),
  v.strictObject({ method: v.literal('cfg-plus-plus'), ...shared, evaluation }),
  v.strictObject({
    method: v.literal('feedback'),
    ...shared,
    pi: number,
    t0: number,
    t1: number,
    maxW: v.optional(number),
    evaluation,
  }),
  v.strictObject({ method: v.literal('autoguidance'), ...shared, rule: v.optional(rule) }),
  v.strictObject({ method: v.literal('perturbed'), ...shared, weakWeight: weight, evaluation }),
  v.strictObject({ method: v.literal('classifier'), ...shared }),
]);

/**
 * A guidance as data, which JSON can hold: a method by name, its weight and its settings, each named as in the function that it
 * stands for. `{"method": "classifier-free", "w": {"w": 2, "sigma": [0.28, 5.42]}, "rule": {"apg": {"eta": 0}}}`.
 */
export type GuidanceChoice = v.InferInput<typeof schema>;

/** What {@link guidanceOf} makes a model with, where the method needs it. */
export interface GuidanceParts<C> {
  readonly model: ModelLike<C>;
  readonly conditioning: Conditioning<C>;
  /** The worse model of `autoguidance` and `perturbed`. */
  readonly weaker?: ModelLike<C> | undefined;
  /** The classifier of `classifier`. */
  readonly logLikelihood?: LogLikelihood<C> | undefined;
  /** The grid of the walk, whose points `cfg-cache`, `feedback` and a weight at some steps count. */
  readonly lambdas?: readonly number[] | undefined;
}

/**
 * A guidance choice from what a JSON file held.
 * @throws RangeError that names the member which does not fit, what it is and what it may be. Numbers out of a method's range are refused by
 *   {@link guidanceOf}.
 */
export function readGuidance(value: unknown): GuidanceChoice {
  const { success, output, issues } = v.safeParse(schema, value);
  if (success) return output;
  const [issue] = issues;
  const place = v.getDotPath(issue);
  throw new RangeError(`the guidance${place ? `'s ${place}` : ''} does not fit: ${issue.message}.`);
}

/**
 * The guided model that a choice stands for.
 * @throws RangeError on a choice that does not fit, a number that its method refuses, or a part that it needs and was not given.
 */
export function guidanceOf<C>(choice: GuidanceChoice, parts: GuidanceParts<C>): Model<C> {
  const own = readGuidance(choice);
  const guided = methodOf(own, parts);
  const { momentum } = own;
  const moving = momentum
    ? momentumGuidance(guided, weightOf(momentum.w, parts.lambdas), { beta: momentum.beta })
    : guided;
  const kept = own.threshold ? thresholdX(moving, thresholdOf(own.threshold)) : moving;
  return own.zeroInit === undefined ? kept : zeroInit(kept, own.zeroInit);
}

function methodOf<C>(choice: GuidanceChoice, { model, conditioning, ...parts }: GuidanceParts<C>): Model<C> {
  const need = <K extends keyof typeof parts>(name: K): NonNullable<(typeof parts)[K]> => {
    const part = parts[name];
    if (part === undefined)
      throw new RangeError(`guidance by ${choice.method} needs \`${name}\`, which was not given.`);
    return part as NonNullable<(typeof parts)[K]>;
  };
  const { lambdas } = parts;
  const w = weightOf(choice.w, lambdas);
  switch (choice.method) {
    case 'classifier-free':
      return classifierFree(model, conditioning, w, { rule: ruleOf(choice.rule), evaluation: choice.evaluation });
    case 'cfg-cache': {
      const { every, first, estimate, of, evaluation } = choice;
      const fresh = everyKth(need('lambdas'), every, { first });
      return cfgCache(model, conditioning, w, fresh, { estimate, of, evaluation, rule: ruleOf(choice.rule) });
    }
    case 'feedback': {
      const { pi, t0, t1, maxW, evaluation } = choice;
      const settings = feedbackSettings(need('lambdas'), { pi, t0, t1 });
      return feedbackGuidance(model, conditioning, { ...settings, maxW, w }, { evaluation });
    }
    case 'cfg-plus-plus':
      return cfgPlusPlus(model, conditioning, w, { evaluation: choice.evaluation });
    case 'autoguidance':
      return autoguidance(model, need('weaker'), w, { rule: ruleOf(choice.rule) });
    case 'perturbed': {
      const { weakWeight, evaluation } = choice;
      const weights = { w, weakWeight: weightOf(weakWeight, lambdas) };
      return perturbedGuidance(model, need('weaker'), conditioning, { ...weights, evaluation });
    }
    case 'classifier':
      return classifierGuidance(model, need('logLikelihood'), w);
  }
}

function weightOf(choice: GuidanceChoice['w'], lambdas?: readonly number[]): number | WeightSchedule {
  if (typeof choice === 'number') return choice;
  if ('steps' in choice) {
    if (!lambdas) throw new RangeError('a weight at some steps needs `lambdas`, which was not given.');
    return interval(choice.w, stepRange(lambdas, ...choice.steps));
  }
  if ('rising' in choice) return rising(choice.w, choice.rising, choice.floor);
  if ('sigma' in choice) {
    const [low, high] = choice.sigma;
    return interval(choice.w, { sigma: [low ?? 0, high ?? Number.POSITIVE_INFINITY] });
  }
  const [low, high] = choice.lambda;
  return interval(choice.w, { lambda: [low ?? Number.NEGATIVE_INFINITY, high ?? Number.POSITIVE_INFINITY] });
}

function ruleOf(choice: RuleChoice = 'extrapolate'): Rule {
  if (choice === 'extrapolate') return extrapolate;
  if (choice === 'tcfg') return tcfg;
  if ('apg' in choice) return apg(choice.apg);
  if ('cfgZeroStar' in choice) return cfgZeroStar(choice.cfgZeroStar);
  if ('slidingMode' in choice) return slidingMode(choice.slidingMode);
  if ('mamboG' in choice) return mamboG(choice.mamboG);
  if ('rescale' in choice) return rescale(choice.rescale, ruleOf(choice.of));
  return frequencyDecoupled(choice.frequencyDecoupled);
}

const thresholdOf = (choice: NonNullable<GuidanceChoice['threshold']>) =>
  'static' in choice ? staticThreshold(...choice.static) : dynamicThreshold(choice.dynamic);

/** A choice in one line for people: `classifier-free, w = 2 at 0.28 < σ ≤ 5.42, apg(eta 0)`. */
export function guidanceName(choice: GuidanceChoice): string {
  const { method, w, threshold, momentum, zeroInit: still, ...rest } = readGuidance(choice);
  const settings = Object.entries(rest).map(([name, value]) => {
    if (name === 'rule') return named(value);
    return `${name} ${name === 'weakWeight' ? weightName(value as GuidanceChoice['w']) : named(value)}`;
  });
  return [
    method,
    `w = ${weightName(w)}`,
    ...settings,
    ...(momentum
      ? [`momentum ${weightName(momentum.w)}${momentum.beta === undefined ? '' : `, beta ${momentum.beta}`}`]
      : []),
    ...(threshold ? [`threshold ${named(threshold)}`] : []),
    ...(still === undefined ? [] : [`velocity 0 up to λ = ${still}`]),
  ].join(', ');
}

function weightName(w: GuidanceChoice['w']): string {
  if (typeof w === 'number') return String(w);
  if ('rising' in w) return `${w.w} rising (${named(w.rising)})${w.floor === undefined ? '' : `, at least ${w.floor}`}`;
  if ('steps' in w) return `${w.w} at steps ${w.steps[0]} to ${w.steps[1]}`;
  const [sign, [low, high]] = 'sigma' in w ? (['σ', w.sigma] as const) : (['λ', w.lambda] as const);
  return `${w.w} at ${low === null ? '' : `${low} ${sign === 'σ' ? '<' : '≤'} `}${sign}${high === null ? '' : ` ≤ ${high}`}`;
}

/** Settings as text: `apg(eta 0, norm 5)`. */
function named(value: unknown): string {
  if (Array.isArray(value)) return value.map(named).join(' ');
  if (typeof value !== 'object' || value === null) return String(value);
  return Object.entries(value)
    .filter(([, part]) => part !== undefined)
    .map(([name, part]) =>
      typeof part === 'object' && part !== null && !Array.isArray(part)
        ? `${name}(${named(part)})`
        : `${name} ${named(part)}`,
    )
    .join(', ');
}
