import {
  type Conditioning,
  checkChoice,
  checkFinite,
  derive,
  estimateFrom,
  inTurn,
  type Memory,
  type Model,
  type ModelLike,
  type ModelParts,
  memoryOf,
  ONE_CALL,
  type Predicted,
  scales,
  toModel,
  type WeightedModel,
  withCondition,
} from '@logsnr/core';
import {
  add,
  fill,
  isNaN as isNaNs,
  mul,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  where,
  zeros,
  zerosLike,
} from '@tensorflow/tfjs-core';
import { checkEvaluation, costOf, type EvaluationOptions, evaluate } from './evaluate.js';
import { type LogLikelihood, slopeOf } from './gradient.js';
import { checkWhole } from './guide.js';
import { moved } from './rule.js';

/**
 * The density Π_i p(z_λ|c_i)^{a_i} at every λ, and how far guided samples are from it (Skreta et al. 2025, arXiv 2503.02819): its score is that of
 * ε̃ = Σ a_i ε_i, and samples that follow it have weights with d log W/dλ = ½ (‖ε̃‖² − Σ a_i ‖ε_i‖²), integrated by the
 * trapezoidal rule. docs/guidance.md derives it. `feynmanKac` of `@logsnr/samplers` draws the density.
 *
 * Exponents [1 + w, −w] of [c, ∅] are `tilted`, of [c, c_neg] what `negative` aims at; 1 + w_i of each c_i and
 * 1 − Σ(1 + w_i) of ∅ are `composed`; [β] of [c] is p(z|c)^β. The model's condition is the list of the c_i, each for n samples. Where an exponent is 0, that
 * prediction is not made. A learned variance is that for the first c_i whose exponent is not 0.
 * @throws RangeError unless the exponents are finite and their sum A is above 0: the density of noise, N(0, I/A), is one
 *   only then; in use when there are not as many conditions.
 */
export function product<C>(
  like: ModelLike<C>,
  { concat, check }: Pick<Conditioning<C>, 'concat' | 'check'>,
  exponents: readonly number[],
  { evaluation = 'joint' }: EvaluationOptions = {},
): WeightedModel<readonly C[]> {
  checkEvaluation(evaluation);
  for (const [i, exponent] of exponents.entries()) checkFinite(`exponents[${i}]`, exponent);
  const exact = exponents.reduce((sum, exponent) => sum + exponent, 0);
  // (1 + w) − w and the like are 1 but for rounding.
  const total = Math.abs(exact - 1) < 1e-9 ? 1 : exact;
  if (!(total > 0))
    throw new RangeError(
      `the exponents [${exponents.join(', ')}] have the sum ${total}; it must be above 0, as the density of noise is N(0, I/sum).`,
    );
  const used = [...exponents.keys()].filter((i) => exponents[i] !== 0);
  return weighted<C, readonly C[]>(toModel(like), total, (model) => ({
    predict(z, lambda, conditions, memory) {
      if (conditions.length !== exponents.length)
        throw new RangeError(
          `there are ${conditions.length} conditions and ${exponents.length} exponents; give one for each.`,
        );
      const parts = used.map((i, k) => ({ lambda, condition: conditions[i] as C, memory: memoryOf(memory, k) }));
      for (const { condition } of parts) check?.(condition, z.shape[0] as number);
      const made = evaluate(model, concat, evaluation, z, parts) as [Predicted, ...Predicted[]];
      const first = made[0];
      const others = made.slice(1).map((own, k) => ({ a: exponents[used[k + 1] as number] as number, own }));
      // first + Σ a_i (own − first), which for exponents of sum 1 is Σ a_i of all.
      const led = (kind: 'x' | 'eps') =>
        others.reduce<Tensor>((sum, { a, own }) => add(sum, mul(sub(own[kind], first[kind]), a)), first[kind]);
      const next = { variance: first.variance, memory: made.map((own) => own.memory) };
      if (used.length === 1 && total === 1) return { x: first.x, eps: first.eps, ...next, rate: null };
      // ‖ε̃‖² − Σ a_i ‖ε_i‖² by the differences δ_i = ε_i − ε_1 and Δ = Σ a_i δ_i, which keep the digits: with A = Σ a_i it is
      // ‖Δ‖² − Σ a_i ‖δ_i‖² + A (A − 1) ε_1 · (ε_1 + 2Δ/A).
      const eps = led('eps');
      const delta = sub(eps, first.eps);
      const spread = others.reduce<Tensor>(
        (sum, { a, own }) => sub(sum, mul(dot(sub(own.eps, first.eps), sub(own.eps, first.eps)), a)),
        dot(delta, delta),
      );
      if (total === 1) return { x: led('x'), eps, ...next, rate: mul(spread, 0.5) };
      const common = mul(dot(first.eps, add(first.eps, mul(delta, 2 / total))), total * (total - 1));
      const tempered = add(eps, mul(first.eps, total - 1));
      return { ...estimateFrom('eps', tempered, z, lambda), ...next, rate: mul(add(spread, common), 0.5) };
    },
    cost: (lambda) => costOf(model, evaluation, used.length, lambda),
    gives: model.gives,
    start: (n, shape) => used.map(() => model.start(n, shape)),
  }));
}

/**
 * The tilted density p̃_λ(z|c) ∝ p(z_λ|c)^{1 + w} p(z_λ)^{−w} ∝ p(z_λ|c) p(c|z_λ)^w, at which classifier-free guidance aims: `classifierFree`,
 * the same samples bit for bit, and their weights, d log W/dλ = ½ w (1 + w) ‖ε_c − ε_∅‖². See {@link product}.
 * @param w one number. Of a w(λ) the weights would need d log W/dλ = … + w'(λ) log(p(z_λ|c)/p(z_λ)), and a noise prediction does not
 *   tell the densities.
 * @throws RangeError when w is not finite; TypeError when it is no number.
 */
export function tilted<C>(
  model: ModelLike<C>,
  conditioning: Conditioning<C>,
  w: number,
  options: EvaluationOptions = {},
): WeightedModel<C> {
  checkConstant(w);
  const inner = product(model, conditioning, w === 0 ? [1] : [1 + w, -w], options);
  const own = withCondition<readonly C[], C>(inner, (c) => (w === 0 ? [c] : [c, conditioning.nullCondition(c)]));
  return Object.assign(own, lensOf(inner.startStd));
}

/**
 * The tilted density p(z_λ|c) p(c|z_λ)^w by a classifier: the samples of `classifierGuidance`, and their weights,
 * d log W/dλ = ½ w (1 + w) ‖σ ∇ log p(c|z_λ)‖² around a conditional model. Around an unconditional one, whose density is
 * p(z_λ), it is ½ w (w − 1) ‖σ ∇ log p(c|z_λ)‖². That holds of a classifier of noised data that belongs to the model, p(c|z_λ) = p(c) p(z_λ|c)/p(z_λ).
 * Any other reward has a rate of its own in λ, which its gradient does not tell.
 * @param around what `model` is told: `conditional` unless given.
 * @throws RangeError when w is not finite, or the log-likelihood is not one number for each sample; TypeError when w is no number.
 */
export function tiltedByClassifier<C>(
  model: ModelLike<C>,
  logLikelihood: LogLikelihood<C>,
  w: number,
  { around = 'conditional' }: { around?: 'conditional' | 'unconditional' | undefined } = {},
): WeightedModel<C> {
  checkConstant(w);
  checkChoice('around', around, ['conditional', 'unconditional']);
  return weighted<C, C>(toModel(model), 1, (model) => ({
    predict(z, lambda, condition, memory) {
      const made = model.predict(z, lambda, condition, memory);
      if (w === 0) return { ...made, rate: null };
      const pull = mul(scales(z, lambda).sigma, slopeOf(logLikelihood, z, lambda, condition));
      const { variance, memory: next } = made;
      const guided = moved(made, 'eps', sub(made.eps, mul(pull, w)), made.eps, z, lambda);
      const share = around === 'conditional' ? w * (w + 1) : w * (w - 1);
      return { ...guided, variance, memory: next, rate: mul(dot(pull, pull), share / 2) };
    },
    cost: (lambda) => (w === 0 ? model.cost(lambda) : inTurn(model.cost(lambda), { ...ONE_CALL, gradients: 1 })),
    gives: model.gives,
    start: model.start,
  }));
}

/** ⟨a, b⟩ of each sample, [n]. */
const dot = (a: Tensor, b: Tensor): Tensor => sum(mul(a, b), a.shape.map((_, i) => i).slice(1));

function checkConstant(w: number): void {
  if (typeof w !== 'number')
    throw new TypeError(
      `w is ${typeof w === 'function' ? 'a function' : 'a schedule'} of λ; it must be one number. With a w(λ) the density changes with λ, and its weights need log p(c|z_λ), which the noise predictions do not tell.`,
    );
  checkFinite('w', w);
}

/** What a weighted model remembers beside its model: log W up to the last call, and d log W/dλ and λ there; λ is NaN before it. */
interface Weighing {
  readonly [name: string]: Tensor1D;
  readonly logWeights: Tensor1D;
  readonly rate: Tensor1D;
  readonly lambda: Tensor1D;
}

const weighingOf = (memory: Memory): Weighing => memoryOf(memory, 1) as unknown as Weighing;

const lensOf = (startStd: number): Pick<WeightedModel<never>, 'logWeights' | 'withLogWeights' | 'startStd'> => ({
  logWeights: (memory) => weighingOf(memory).logWeights,
  withLogWeights: (memory, logWeights) => [memoryOf(memory, 0), { ...weighingOf(memory), logWeights }],
  startStd,
});

/** The parts of a model that also tells d log W/dλ of each sample, [n], or null where that is 0. */
type WeighedParts<D> = Omit<ModelParts<D>, 'predict' | 'at' | 'start'> & {
  predict(...given: Parameters<Model<D>['predict']>): ReturnType<ModelParts<D>['predict']> & { rate: Tensor | null };
  start: Model<D>['start'];
};

/** A model that sums up its rate from call to call, by the trapezoidal rule. `total` is the sum of the exponents of its density. */
function weighted<C, D>(inner: Model<C>, total: number, build: (model: Model<C>) => WeighedParts<D>): WeightedModel<D> {
  checkWhole(inner);
  const model = derive<[Model<C>], D>([inner], ([model]) => {
    const { predict, start, ...parts } = build(model);
    return {
      ...parts,
      predict(z, lambda, condition, memory) {
        const { rate, memory: next = null, ...estimate } = predict(z, lambda, condition, memoryOf(memory, 0));
        const before = weighingOf(memory);
        if (!rate) return { ...estimate, memory: [next, before] };
        const gained = mul(mul(sub(lambda, before.lambda), add(before.rate, rate)), 0.5);
        const first = isNaNs(before.lambda);
        const logWeights = add(before.logWeights, where(first, zerosLike(rate), gained));
        return { ...estimate, memory: [next, { logWeights, rate, lambda: lambda.clone() }] };
      },
      start: (n, shape) => {
        const [logWeights, rate, lambda] = [zeros([n]), zeros([n]), fill([n], Number.NaN)];
        return [start(n, shape), { logWeights, rate, lambda }];
      },
    };
  });
  return Object.assign(model, lensOf(total === 1 ? 1 : total ** -0.5));
}
