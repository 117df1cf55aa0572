import { type Estimate, estimateFrom, type Memory, scales } from '@logsnr/core';
import { add, div, mul, sub, type Tensor, type Tensor1D } from '@tensorflow/tfjs-core';

/** What a rule combines: the better and the worse prediction of one kind, of z's shape. */
export interface Predictions {
  /** For the condition, or whatever guidance leads towards. */
  readonly conditional: Tensor;
  /** For ∅, or whatever it leads away from. */
  readonly unconditional: Tensor;
  /** The weight, not 0: a number, or one for each sample, [n, 1, …]. */
  readonly w: number | Tensor;
  readonly z: Tensor;
  /** [n], in nats. */
  readonly lambda: Tensor1D;
}

/**
 * In which prediction a rule acts. `each`: it is linear, so it acts on x̂ and on ε̂ and both agree. `v` is the velocity of the
 * variance-preserving process, α ε̂ − σ x̂ (Salimans & Ho 2022, arXiv 2202.00512); `flow` that of flow matching, ε̂ − x̂, which goes from
 * data to noise on straight lines: z/(α + σ) = (1 − t) x + t ε with t = σ/(α + σ).
 */
export type Acts = 'each' | Kind;

/** One kind of prediction. */
export type Kind = 'eps' | 'x' | 'v' | 'flow';

/**
 * How two predictions become one, which is the whole of most guidance methods: a pure function of tensors, called within a
 * tidy. Where w is 0 it is not asked: the result is then `conditional` bit for bit.
 */
export interface Rule {
  readonly acts: Acts;
  combine(predictions: Predictions, memory: Memory): Tensor | { readonly value: Tensor; readonly memory: Memory };
  /** What it remembers before the first call for n samples of `shape`. Nothing unless given. */
  start?(n: number, shape: readonly number[]): Memory;
}

/** A rule, or a plain function that acts on ε̂. */
export type RuleLike = Rule | ((predictions: Predictions) => Tensor);

export const toRule = (rule: RuleLike): Rule => (typeof rule === 'function' ? { acts: 'eps', combine: rule } : rule);

/**
 * (1 + w) ε(z, c) − w ε(z, ∅) = ε(z, c) + w (ε(z, c) − ε(z, ∅)) (Ho & Salimans 2022, arXiv 2207.12598, eq. 6). It is linear, so
 * the same holds of x̂, which it gives without a division by α.
 */
export const extrapolate: Rule = {
  acts: 'each',
  combine: ({ conditional, unconditional, w }) => add(conditional, mul(sub(conditional, unconditional), w)),
};

/** x̂ and ε̂. */
export type Both = Pick<Estimate, 'x' | 'eps'>;

/** x̂ and ε̂ as `rule` makes them of two estimates, and what it remembers. To be called within a tidy. */
export function applyRule(
  rule: Rule,
  conditional: Both,
  unconditional: Both,
  at: Pick<Predictions, 'w' | 'z' | 'lambda'>,
  memory: Memory,
): Both & { readonly memory: Memory } {
  const combine = (a: Tensor, b: Tensor) => {
    const made = rule.combine({ conditional: a, unconditional: b, ...at }, memory);
    return 'value' in made ? made : { value: made, memory };
  };
  if (rule.acts === 'each') {
    const eps = combine(conditional.eps, unconditional.eps);
    return { x: combine(conditional.x, unconditional.x).value, eps: eps.value, memory: eps.memory };
  }
  const of = kind(rule.acts, at.z, at.lambda);
  const [a, b] = [of(conditional), of(unconditional)];
  const { value, memory: next } = combine(a, b);
  return { ...moved(conditional, rule.acts, value, a, at.z, at.lambda), memory: next };
}

/** ε̃ as a rule makes it of two ε̂, whatever it acts in. */
export function combineEps(rule: Rule, predictions: Predictions, memory: Memory): { value: Tensor; memory: Memory } {
  const { conditional, unconditional, z, lambda, w } = predictions;
  const both = (eps: Tensor): Both => estimateFrom('eps', eps, z, lambda);
  const made = applyRule(rule, both(conditional), both(unconditional), { w, z, lambda }, memory);
  return { value: made.eps, memory: made.memory };
}

/** The first of several estimates, led by each weight towards one of them and away from another: first + Σ w (to − from). */
export function led(first: Both, terms: readonly (readonly [w: number | Tensor, to: Both, from: Both])[]): Both {
  const sum = (kind: 'x' | 'eps') =>
    terms.reduce((sum, [w, to, from]) => add(sum, mul(sub(to[kind], from[kind]), w)), first[kind]);
  return { x: sum('x'), eps: sum('eps') };
}

/** One kind of prediction of an estimate. */
export function kind(acts: Kind, z: Tensor, lambda: Tensor1D): (estimate: Both) => Tensor {
  if (acts === 'flow') return ({ x, eps }) => sub(eps, x);
  if (acts !== 'v') return (estimate) => estimate[acts];
  const { alpha, sigma } = scales(z, lambda);
  return ({ x, eps }) => sub(mul(alpha, eps), mul(sigma, x));
}

/**
 * The estimate whose prediction of one kind is `value` in the place of `before`. The other kinds follow from the difference
 * d, which keeps the digits that they have: of ε, x̂ − (σ/α) d; of x, ε̂ − (α/σ) d; of v, x̂ − σ d and ε̂ + α d; of the flow's
 * velocity, x̂ − t d and ε̂ + (1 − t) d with t = σ/(α + σ).
 */
export function moved(estimate: Both, acts: Kind, value: Tensor, before: Tensor, z: Tensor, lambda: Tensor1D): Both {
  const { alpha, sigma } = scales(z, lambda);
  const d = sub(value, before);
  if (acts === 'eps') return { x: sub(estimate.x, mul(d, div(sigma, alpha))), eps: value };
  if (acts === 'x') return { x: value, eps: sub(estimate.eps, mul(d, div(alpha, sigma))) };
  if (acts === 'flow') {
    const whole = add(alpha, sigma);
    return { x: sub(estimate.x, mul(d, div(sigma, whole))), eps: add(estimate.eps, mul(d, div(alpha, whole))) };
  }
  return { x: sub(estimate.x, mul(d, sigma)), eps: add(estimate.eps, mul(d, alpha)) };
}
