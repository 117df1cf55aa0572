import {
  type Conditioning,
  checkChoice,
  checkIncreasing,
  checkInteger,
  defineModel,
  derive,
  type Memory,
  type Model,
  type ModelLike,
  type ModelParts,
  memoryOf,
  perSample,
  toModel,
  zipTensors,
} from '@logsnr/core';
import {
  add,
  cast,
  divNoNan,
  fill,
  gather,
  greaterEqual,
  maximum,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  tensor1d,
  tensor2d,
  unstack,
  where,
  zeros,
} from '@tensorflow/tfjs-core';
import { type ClassifierFreeOptions, withNull } from './classifier-free.js';
import { checkWhole } from './guide.js';
import { applyRule, extrapolate, type Kind, kind, moved, toRule } from './rule.js';
import { checkWeight, readLambda, spread, type Weight, weightAt, weightsAt, weightsOf } from './weight.js';

/** At which λ the prediction for ∅ is made anew; elsewhere it is estimated. */
export type Fresh = (lambda: number) => boolean;

/**
 * Makes the prediction for ∅ anew at the first `first` points of a grid and at every k-th from there on: at points 0 … first − 1,
 * first − 1 + k, first − 1 + 2k, …. A λ between two points, at which some samplers call too, goes with the point before it.
 * @throws RangeError unless the grid increases strictly, k ≥ 1 and `first` ≥ 1.
 */
export function everyKth(
  lambdas: readonly number[],
  k: number,
  { first = 1 }: { first?: number | undefined } = {},
): Fresh {
  checkIncreasing(lambdas);
  checkInteger('k', k, 1);
  checkInteger('first', first, 1);
  // λ may come as float32.
  const points = lambdas.map((lambda) => Math.fround(lambda));
  return (lambda) => {
    const at = Math.max(0, points.filter((point) => point <= Math.fround(lambda)).length - 1);
    return at < first || (at - first + 1) % k === 0;
  };
}

/** The prediction for ∅ as a linear combination of those at hand, in one kind of prediction. `observeNull` measures one. */
export interface NullRegression {
  /** The λ that it was measured at, in increasing order; a λ between two goes with the one before it. */
  readonly lambdas: readonly number[];
  /** At each λ: the coefficients of ε_c now, of ε_c at the m calls before, the latest first, and of ε_∅ at these. */
  readonly coefficients: readonly (readonly number[])[];
  /** In which prediction. */
  readonly of: NullKind;
}

/** A kind of prediction to estimate in. */
export type NullKind = Exclude<Kind, 'flow'>;

export interface CfgCacheOptions extends ClassifierFreeOptions {
  /**
   * How the prediction for ∅ is estimated. `hold` (default): its difference from the conditional one stays as it last was. `linear`:
   * the difference goes on, in λ, on the line through the last two. Or a regression.
   */
  estimate?: 'hold' | 'linear' | NullRegression | undefined;
  /** In which prediction the difference is held: `x` unless given. Of a regression it is its own. */
  of?: NullKind | undefined;
}

/** What stands in for a prediction for ∅ that was not made, in one kind of prediction. */
interface Estimator {
  readonly of: NullKind;
  start(n: number, shape: readonly number[]): Memory;
  /** The unconditional prediction from the conditional one. */
  guess(conditional: Tensor, lambda: Tensor1D, memory: Memory): Tensor;
  /** The memory after a call. `fresh` says whether the unconditional prediction was made or guessed. */
  remember(conditional: Tensor, unconditional: Tensor, lambda: Tensor1D, memory: Memory, fresh: boolean): Memory;
}

/**
 * Classifier-free guidance that makes the prediction for ∅ at some λ only and estimates it at the others from what it remembers, so a
 * step costs one evaluation there instead of two. A model with a memory, for any sampler, eager and compiled.
 *
 * Holding the difference ε_∅ − ε_c is the CFG-Cache of FasterCache (Lv et al. 2024, arXiv 2410.19355), here in one kind of prediction
 * and as it is: their code lets its mean and the rest of it grow by a hand-set factor at each call. A regression on the past predictions is
 * LinearAG (Castillo et al. 2023, arXiv 2312.12487, section 5.2), there on all of them, here on the last m. Before the first λ that is
 * fresh the difference is 0, so there is no guidance.
 *
 * With `fresh` true everywhere it is {@link classifierFree} bit for bit; with w = 0 the model. A call at w(λ) = 0 changes nothing that is remembered.
 * @throws RangeError when w is not finite or on options out of range.
 */
export function cfgCache<C>(
  model: ModelLike<C>,
  conditioning: Conditioning<C>,
  w: Weight,
  fresh: Fresh,
  { evaluation = 'joint', rule: ruleLike = extrapolate, estimate = 'hold', of = 'x' }: CfgCacheOptions = {},
): Model<C> {
  checkWeight(w);
  const rule = toRule(ruleLike);
  const estimator = typeof estimate === 'object' ? regression(estimate) : difference(estimate, of);
  const inner = toModel(model);
  checkWhole(inner);
  /** Off, fresh or estimated, as one number: which of three things a call is. */
  const stateAt = (lambda: number) => (weightAt(w, lambda) === 0 ? 'off' : fresh(lambda) ? 'fresh' : 'estimated');
  type State = ReturnType<typeof stateAt>;
  return derive<[Model<C>], C>([inner], ([model]) => {
    const { plain, pair, cost, check } = withNull(model, conditioning, evaluation);
    type Answer = ReturnType<ModelParts<C>['predict']>;
    const predictIn = (
      state: State,
      z: Tensor,
      lambda: Tensor1D,
      weight: number | Tensor1D,
      condition: C,
      memory: Memory,
    ): Answer => {
      const [better, worse, ruleMemory, kept] = [0, 1, 2, 3].map((i) => memoryOf(memory, i)) as [
        Memory,
        Memory,
        Memory,
        Memory,
      ];
      if (state === 'off') {
        const only = plain(z, lambda, condition, better);
        return { ...only, memory: [only.memory, worse, ruleMemory, kept] };
      }
      const inKind = kind(estimator.of, z, lambda);
      const both = state === 'fresh' ? pair(z, lambda, condition, [better, worse]) : null;
      const own = both ? both[0] : plain(z, lambda, condition, better);
      const conditional = inKind(own);
      const unconditional = both ? inKind(both[1]) : estimator.guess(conditional, lambda, kept);
      const other = both ? both[1] : moved(own, estimator.of, unconditional, conditional, z, lambda);
      const guided = applyRule(rule, own, other, { w: spread(weight, z), z, lambda }, ruleMemory);
      const next = estimator.remember(conditional, unconditional, lambda, kept, both !== null);
      const memories = [own.memory, both ? both[1].memory : worse, guided.memory, next];
      return { x: guided.x, eps: guided.eps, variance: own.variance, memory: memories };
    };
    const parts = (predict: ModelParts<C>['predict']): ModelParts<C> => ({
      predict(z, lambda, condition, memory) {
        check?.(condition, z.shape[0] as number);
        return predict(z, lambda, condition, memory);
      },
      cost: (lambda) => (stateAt(lambda) === 'fresh' ? cost(lambda) : model.cost(lambda)),
      gives: { variance: model.gives.variance },
      start: (n, shape) => [
        model.start(n, shape),
        model.start(n, shape),
        rule.start?.(n, shape) ?? null,
        estimator.start(n, shape),
      ],
    });
    const variant = (state: State) =>
      defineModel(
        parts((z, lambda, condition, memory) =>
          predictIn(state, z, lambda, state === 'off' ? 0 : weightsOf(w, lambda), condition, memory),
        ),
      );
    const at = { off: variant('off'), fresh: variant('fresh'), estimated: variant('estimated') };
    return {
      // Samples may be at different λ here, so at different things to do.
      ...parts((z, lambda, condition, memory) => {
        const states = Array.from(
          readLambda(lambda, '`fresh`', 'Take the model at a λ, model.at(λ), which needs none.'),
          stateAt,
        );
        const weight = weightsAt(w, lambda);
        return [...new Set(states)]
          .map((state) => ({ state, answer: predictIn(state, z, lambda, weight, condition, memory) }))
          .reduce((before, { state, answer }) => {
            const mine = tensor1d(
              states.map((own) => own === state),
              'bool',
            );
            const chosen = (a: Tensor, b: Tensor) => where(perSample(mine, a), a, b);
            return { state, answer: zipTensors([answer, before.answer], chosen) };
          }).answer;
      }),
      at: (lambda) => at[stateAt(lambda)],
    };
  });
}

/** The difference from the conditional prediction, held or extended on a line. */
function difference(how: 'hold' | 'linear', of: NullKind): Estimator {
  checkChoice('estimate', how, ['hold', 'linear']);
  checkChoice('of', of, ['eps', 'x', 'v']);
  if (how === 'hold')
    return {
      of,
      start: (n, shape) => zeros([n, ...shape]),
      guess: (conditional, _, memory) => add(conditional, memory as Tensor),
      remember: (conditional, unconditional, _, memory, fresh) => (fresh ? sub(unconditional, conditional) : memory),
    };
  interface Line {
    readonly [name: string]: Tensor;
    /** The last difference, and its change over the last `step` of λ before `at`; 0 where there was none before. */
    readonly last: Tensor;
    readonly change: Tensor;
    readonly at: Tensor1D;
    readonly step: Tensor1D;
    readonly known: Tensor1D;
  }
  return {
    of,
    start: (n, shape): Line => {
      const none = () => zeros([n]) as Tensor1D;
      return { last: zeros([n, ...shape]), change: zeros([n, ...shape]), at: none(), step: none(), known: none() };
    },
    guess(conditional, lambda, memory) {
      const { last, change, at, step } = memory as Line;
      return add(conditional, add(last, mul(change, perSample(divNoNan(sub(lambda, at), step) as Tensor1D, last))));
    },
    remember(conditional, unconditional, lambda, memory, fresh): Memory {
      if (!fresh) return memory;
      const { last, at, known } = memory as Line;
      const now = sub(unconditional, conditional);
      // Where nothing was known before, nothing is known to have changed.
      const change = mul(sub(now, last), perSample(known, now));
      return { last: now, change, at: lambda.clone(), step: mul(sub(lambda, at), known), known: fill(known.shape, 1) };
    },
  };
}

/** Σ of coefficients times the predictions at hand. */
function regression({ lambdas, coefficients, of }: NullRegression): Estimator {
  checkIncreasing(lambdas);
  checkChoice('of', of, ['eps', 'x', 'v']);
  const terms = coefficients[0]?.length ?? 0;
  const whole =
    coefficients.length === lambdas.length &&
    coefficients.every((row) => row.length === terms && row.every(Number.isFinite));
  if (!whole || terms % 2 === 0)
    throw new RangeError(
      `the regression has ${lambdas.length} λ and coefficients of ${[...new Set(coefficients.map((row) => row.length))].join(', ') || 'no'} numbers; it must have for each λ as many finite numbers, 2m + 1.`,
    );
  const past = (terms - 1) / 2;
  const points = lambdas.map((lambda) => Math.fround(lambda));
  return {
    of,
    start: (n, shape) => Array.from({ length: 2 * past }, () => zeros([n, ...shape])),
    guess(conditional, lambda, memory) {
      const reached = cast(greaterEqual(reshape(lambda, [-1, 1]), tensor2d([points])), 'int32');
      const place = cast(maximum(sub(sum(reached, 1), 1), 0), 'int32') as Tensor1D;
      const columns = unstack(gather(tensor2d(coefficients as number[][]), place), 1) as Tensor1D[];
      return [conditional, ...(memory as Tensor[])]
        .map((value, i) => mul(value, perSample(columns[i] as Tensor1D, value)))
        .reduce((total, term) => add(total, term));
    },
    remember(conditional, unconditional, _, memory) {
      if (past === 0) return memory;
      const before = memory as Tensor[];
      return [conditional, ...before.slice(0, past - 1), unconditional, ...before.slice(past, 2 * past - 1)];
    },
  };
}
