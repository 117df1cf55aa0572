import type { Parameters, SessionStep } from '@logsnr/core';
import {
  add,
  clone,
  engine,
  greater,
  isFinite as isFiniteTensor,
  logicalAnd,
  mul,
  reshape,
  type Scalar,
  type Tensor,
  tidy,
  where,
} from '@tensorflow/tfjs-core';
import { globalNorm } from './clip.js';
import type { Ema } from './ema.js';
import type { Layout } from './layout.js';
import type { Optimizer, Scalars } from './optimizer.js';

/** What enters a step: the loss's own inputs, and the numbers of this step from the optimizer and the average. */
export interface StepInputs<I> {
  readonly data: I;
  readonly scalars: Scalars;
}

/** What a step returns beside the next state, the caller's own. */
export interface StepResult {
  readonly loss: Scalar;
  /** ‖∇ loss‖ before clipping. The step was taken if this and the loss are finite; else the state is as it was. */
  readonly norm: Scalar;
}

/**
 * One step of training as a pure function of tensors. It borrows its arguments, the caller owns what it returns, and
 * it draws and reads nothing, so that a session can keep its state and replay it as a graph.
 */
export type Step<I> = SessionStep<Parameters, StepInputs<I>, StepResult>;

/** Name of the vector of all weights in a step's state; the optimizer's vectors are `slot.weights`. */
export const WEIGHTS = 'weights';
/** Name of the vector of averaged weights, where an average is kept; further ones are `average.name`. */
export const AVERAGE = 'average';
/** Names of what a step has gathered so far of its gradient and loss, where it is taken in parts. */
export const GATHERED = { gradient: 'gathered.gradient', loss: 'gathered.loss' } as const;

export interface StepParts<I> {
  /** A scalar, differentiable in the parameters. */
  readonly loss: (parameters: Parameters, data: I) => Tensor;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  /** The average of the weights in `average`. */
  readonly ema?: Ema | undefined;
  /** More averages, each in `average.name`. */
  readonly averages?: Readonly<Record<string, Ema>> | undefined;
  /** Parts that a step's batch comes in. 1 unless given. */
  readonly accumulate?: number | undefined;
}

/**
 * The step of any training: θ ← optimizer(θ, ∇ loss(θ, data)), then the averages of θ.
 *
 * Its state holds vectors: `weights`, `average` when `ema` is given, and the optimizer's. Where the loss or the norm of
 * its gradient is not finite, the next state is the state: one bad batch cannot spoil the weights. That is decided
 * within the step, so it holds for a compiled one.
 *
 * With `accumulate` = K a batch enters in K parts of equal size, each a call: gradients and losses gather in the state
 * as means over the parts, and the last part takes the step. `partScalars` says which part it is. The loss and norm
 * returned are those of the parts so far, so after the last part those of the whole batch.
 */
export function trainStep<I>(parts: StepParts<I>): Step<I> {
  const { loss, layout, optimizer, accumulate = 1 } = parts;
  const averages = averagesIn(parts);
  return (state, { data, scalars }) =>
    tidy(() => {
      const weights = state[WEIGHTS];
      if (!weights) throw new RangeError(`the state has no "${WEIGHTS}".`);
      const scalarLoss = () => {
        const value = loss(layout.unpack(weights), data);
        if (value.size !== 1)
          throw new RangeError(`the loss has shape [${value.shape.join(', ')}]; it must be a scalar, such as a mean.`);
        return reshape(value, []) as Scalar;
      };
      const part = gradientOf(scalarLoss, weights);
      const whole = accumulate > 1 ? gather(state, part, accumulate, scalars) : part;
      const norm = globalNorm({ [WEIGHTS]: whole.gradient });
      const finite = logicalAnd(isFiniteTensor(whole.value), isFiniteTensor(norm));
      const take = accumulate > 1 ? logicalAnd(finite, isOne(scalars, 'last')) : finite;

      const slots = Object.fromEntries(Object.entries(state).filter(([name]) => !isOwn(name)));
      const moved = optimizer.update({ [WEIGHTS]: weights }, { [WEIGHTS]: whole.gradient }, slots, scalars);
      const next: Record<string, Tensor> = { ...moved.parameters, ...moved.state };
      for (const [name, rule] of Object.entries(averages)) {
        const average = state[name];
        if (!average) throw new RangeError(`the state has no "${name}".`);
        const blend = scalars[blendOf(name)];
        next[name] = rule.update({ [WEIGHTS]: average }, moved.parameters, blend ? { blend } : {})[WEIGHTS] as Tensor;
      }
      for (const [name, value] of Object.entries(next)) next[name] = where(take, value, state[name] as Tensor);
      if (accumulate > 1) Object.assign(next, { [GATHERED.gradient]: whole.gradient, [GATHERED.loss]: whole.value });
      // In the order of the state, which a session holds on to.
      const state1 = Object.fromEntries(Object.keys(state).map((name) => [name, next[name] as Tensor]));
      return { state: state1, result: { loss: clone(whole.value) as Scalar, norm } };
    }) as never;
}

/** The averages of a step by their names in its state. */
export const averagesIn = ({ ema, averages = {} }: Pick<StepParts<unknown>, 'ema' | 'averages'>) =>
  Object.fromEntries([
    ...(ema ? [[AVERAGE, ema] as const] : []),
    ...Object.entries(averages).map(([name, rule]) => [`${AVERAGE}.${name}`, rule] as const),
  ]);

/** Whether a name in a step's state is not the optimizer's. */
export const isOwn = (name: string): boolean =>
  name === WEIGHTS || name === AVERAGE || name.startsWith(`${AVERAGE}.`) || name.startsWith('gathered.');

/** The numbers of part `part` (from 0) of `accumulate`. */
export const partScalars = (part: number, accumulate: number): Readonly<Record<string, number>> =>
  accumulate > 1 ? { first: part === 0 ? 1 : 0, last: part === accumulate - 1 ? 1 : 0 } : {};

/** The numbers of step `step` for all averages. */
export const averageScalars = (averages: Readonly<Record<string, Ema>>, step: number): Record<string, number> =>
  Object.fromEntries(Object.entries(averages).map(([name, rule]) => [blendOf(name), rule.scalars(step).blend]));

const blendOf = (name: string): string => `blend${name.slice(AVERAGE.length)}`;

interface Slope {
  readonly value: Scalar;
  readonly gradient: Tensor;
}

/** The mean over the parts so far; chosen and not multiplied by 0, so that what an earlier step left cannot enter. */
function gather(state: Parameters, part: Slope, accumulate: number, scalars: Scalars): Slope {
  const first = isOne(scalars, 'first');
  const joined = (name: string, value: Tensor) => {
    const share = mul(value, 1 / accumulate);
    const before = state[name];
    if (!before) throw new RangeError(`the state has no "${name}"; a step in ${accumulate} parts needs it.`);
    return where(first, share, add(before, share));
  };
  return {
    value: joined(GATHERED.loss, part.value) as Scalar,
    gradient: joined(GATHERED.gradient, part.gradient),
  };
}

function isOne(scalars: Scalars, name: string): Tensor {
  const value = scalars[name];
  if (!value) throw new RangeError(`scalars has no "${name}"; add what \`partScalars\` returns.`);
  return greater(value, 0.5);
}

function gradientOf(f: () => Scalar, x: Tensor): Slope {
  try {
    const { value, grads } = engine().gradients(f, [x]);
    return { value, gradient: grads[0] as Tensor };
  } catch (error) {
    // The engine keeps what it saved for a backward pass, beyond any tidy; now there will be none.
    const { state } = engine();
    if (state.gradientDepth === 0)
      for (const node of state.activeTape ?? []) for (const kept of node.saved ?? []) kept.dispose();
    throw error;
  }
}
