import { type SessionStep, scoped, zipTensors } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import {
  add,
  clone,
  concat,
  engine,
  greater,
  isFinite as isFiniteTensor,
  logicalAnd,
  mul,
  reshape,
  type Scalar,
  split,
  sub,
  type Tensor,
  type Tensor1D,
  where,
} from '@tensorflow/tfjs-core';
import { globalNorm } from './clip.js';
import type { Ema } from './ema.js';
import type { Layout } from './layout.js';
import type { Numbers, Optimizer, Scalars, Slots } from './optimizer.js';

/** What a step works on: vectors of weights, one a group, and what belongs to each of them. */
export interface StepState {
  readonly weights: readonly Tensor[];
  readonly optimizer: Slots;
  /** Averages of the weights by name. */
  readonly averages: Readonly<Record<string, readonly Tensor[]>>;
  /** The mean gradient and loss of the parts so far, where a step is taken in parts; else nothing. */
  readonly gathered: readonly [] | readonly [loss: Tensor, ...gradients: Tensor[]];
}

/** What enters a step: the loss's own inputs, and the numbers of this step. */
export interface StepInputs<I> {
  readonly data: I;
  readonly scalars: {
    readonly optimizer: Scalars;
    readonly averages: Readonly<Record<string, Scalar>>;
    /** Whether this is the first, and the last, of the step's parts; for a step in parts alone. */
    readonly part?: { readonly first: Scalar; readonly last: Scalar };
  };
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
export type Step<I> = SessionStep<StepState, StepInputs<I>, StepResult>;

export interface StepParts<I> {
  /** A scalar, differentiable in the parameters. */
  readonly loss: (parameters: Parameters, data: I) => Tensor;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  /** Rules of the averages, by the names in the state. */
  readonly averages?: Readonly<Record<string, Ema>> | undefined;
  /** Parts that a step's batch comes in. 1 unless given. */
  readonly accumulate?: number | undefined;
  /** What happens to loss and gradient, one vector, before the update, such as the mean over several processes. */
  readonly reduce?: ((lossAndGradient: Tensor1D) => Tensor1D) | undefined;
}

/**
 * The step of any training: θ ← optimizer(θ, ∇ loss(θ, data)), then the averages of θ. It is `gradientOf`, `reduce`,
 * and the update.
 *
 * Where the loss or the norm of its gradient is not finite, the next state is the state: one bad batch cannot spoil the
 * weights. That is decided within the step, so it holds for a compiled one.
 *
 * With `accumulate` = K a batch enters in K parts of equal size, each a call: gradients and losses gather in the state
 * as means over the parts, and the last part takes the step. The loss and norm returned are those of the parts so far, so
 * after the last part those of the whole batch.
 */
export function trainStep<I>(parts: StepParts<I>): Step<I> {
  const { layout, optimizer, averages = {}, accumulate = 1, reduce } = parts;
  const frozen = layout.groups.map((group) => optimizer.groups[group]?.frozen ?? false);
  if (frozen.every((is) => is)) throw new RangeError('all parameters are frozen; there is nothing to train.');
  return (state, { data, scalars }) =>
    scoped(() => {
      const own = gradientOf(parts, state.weights, frozen, data);
      const reduced = reduce ? reducedBy(reduce, own) : own;
      const whole = accumulate > 1 ? gather(state, reduced, accumulate, scalars.part) : reduced;
      const norm = globalNorm(whole.gradients);
      const finite = logicalAnd(isFiniteTensor(whole.loss), isFiniteTensor(norm));
      const take = accumulate > 1 && scalars.part ? logicalAnd(finite, greater(scalars.part.last, 0.5)) : finite;

      let taken = 0;
      const weights = state.weights.map((value, i) => ({
        value,
        gradient: frozen[i] ? null : (whole.gradients[taken++] as Tensor),
        group: layout.groups[i] as number,
      }));
      const next = optimizer.update(weights, state.optimizer, scalars.optimizer);
      const averaged = Object.fromEntries(
        Object.keys(averages).map((name) => {
          const [average, blend] = [state.averages[name], scalars.averages[name]];
          if (!average || !blend) throw new RangeError(`the state or the scalars have no average "${name}".`);
          return [name, average.map((value, i) => add(value, mul(sub(next.weights[i] as Tensor, value), blend)))];
        }),
      );
      const changed = { weights: next.weights, optimizer: next.state, averages: averaged };
      const { gathered, ...before } = state;
      return {
        state: {
          ...chosen(take, changed, before),
          gathered: (gathered.length > 0 ? [clone(whole.loss), ...whole.gradients] : []) as StepState['gathered'],
        },
        result: { loss: clone(whole.loss), norm },
      };
    });
}

/** Loss and gradients, one for each vector that is not frozen. */
interface Slope {
  readonly loss: Scalar;
  readonly gradients: readonly Tensor[];
}

/** The loss and its gradient by the weights that are not frozen. To be called within a tidy. */
export function gradientOf<I>(
  { loss, layout }: Pick<StepParts<I>, 'loss' | 'layout'>,
  weights: readonly Tensor[],
  frozen: readonly boolean[],
  data: I,
): Slope {
  const scalar = () => {
    const value = loss(layout.unpack(weights), data);
    if (value.size !== 1)
      throw new RangeError(`the loss has shape [${value.shape.join(', ')}]; it must be a scalar, such as a mean.`);
    return reshape(value, []) as Scalar;
  };
  const by = weights.filter((_, i) => !frozen[i]);
  try {
    const { value, grads } = engine().gradients(scalar, by);
    return { loss: value, gradients: grads as Tensor[] };
  } catch (error) {
    // The engine keeps what it saved for a backward pass, beyond any tidy; now there will be none.
    const { state } = engine();
    if (state.gradientDepth === 0)
      for (const node of state.activeTape ?? []) for (const kept of node.saved ?? []) kept.dispose();
    throw error;
  }
}

function reducedBy(reduce: (vector: Tensor1D) => Tensor1D, { loss, gradients }: Slope): Slope {
  const sizes = [1, ...gradients.map(({ size }) => size)];
  const flat = [loss, ...gradients].map((tensor) => reshape(tensor, [-1]) as Tensor1D);
  const [first, ...rest] = split(reduce(concat(flat)), sizes) as [Tensor, ...Tensor[]];
  return { loss: reshape(first, []) as Scalar, gradients: rest };
}

/** `changed` where a step is taken, else `before`, tensor by tensor, in the order of `before`. */
function chosen<T extends object>(take: Tensor, changed: T, before: T): T {
  const inOrder = Object.fromEntries(Object.keys(before).map((name) => [name, (changed as never)[name]])) as T;
  return zipTensors([inOrder, before], (value, other) => where(take, value as Tensor, other as Tensor));
}

/** The mean over the parts so far; chosen and not multiplied by 0, so that what an earlier step left cannot enter. */
function gather(
  { gathered }: StepState,
  own: Slope,
  parts: number,
  part: StepInputs<unknown>['scalars']['part'],
): Slope {
  const [loss, ...gradients] = gathered;
  if (!part || !loss)
    throw new RangeError(`a step in ${parts} parts needs \`gathered\` in its state and the scalars of its part.`);
  const first = greater(part.first, 0.5);
  const joined = (value: Tensor, before: Tensor) => {
    const share = mul(value, 1 / parts);
    return where(first, share, add(before, share));
  };
  return {
    loss: joined(own.loss, loss) as Scalar,
    gradients: own.gradients.map((gradient, i) => joined(gradient, gradients[i] as Tensor)),
  };
}

/** The numbers of one part (from 0) of a step. */
export interface StepNumbers {
  readonly optimizer: Numbers;
  readonly averages: Readonly<Record<string, number>>;
  readonly part?: { readonly first: number; readonly last: number };
}

/** The numbers of step `step` (from 0), part `part` of `accumulate`. */
export const numbersOf = (
  { optimizer, averages = {}, accumulate = 1 }: Pick<StepParts<never>, 'optimizer' | 'averages' | 'accumulate'>,
  step: number,
  progress = 0,
  part = 0,
): StepNumbers => ({
  optimizer: optimizer.numbers(step, progress),
  averages: Object.fromEntries(Object.entries(averages).map(([name, rule]) => [name, rule.blend(step)])),
  ...(accumulate > 1 ? { part: { first: part === 0 ? 1 : 0, last: part === accumulate - 1 ? 1 : 0 } } : {}),
});
