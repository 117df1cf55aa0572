import type { Parameters } from '@logsnr/core';
import { engine, reshape, type Scalar, type Tensor, tidy } from '@tensorflow/tfjs-core';
import type { Ema } from './ema.js';
import type { Layout } from './layout.js';
import type { Optimizer, Scalars } from './optimizer.js';

/** What enters a step: the loss's own inputs, and the numbers of this step from the optimizer and the average. */
export interface StepInputs<I> {
  readonly data: I;
  readonly scalars: Scalars;
}

/**
 * One step of training as a pure function of tensors. It borrows its arguments, the caller owns what it returns, and
 * it draws and reads nothing, so that it can be captured once and replayed as a graph.
 */
export type Step<I> = (state: Parameters, inputs: StepInputs<I>) => { state: Parameters; loss: Scalar };

/**
 * Turns a pure function of tensors into a faster one that gives the same values, such as a compiler. What it returns may
 * hold resources, which `dispose` frees.
 */
export type Compile = <A extends unknown[], R>(
  fn: (...args: A) => R,
) => ((...args: A) => R) & { readonly dispose?: () => void };

/** Name of the vector of all weights in a step's state; the optimizer's vectors are `slot.weights`. */
export const WEIGHTS = 'weights';
/** Name of the vector of averaged weights, where an average is kept. */
export const AVERAGE = 'average';

/**
 * The step of any training: θ ← optimizer(θ, ∇ loss(θ, data)), then the average of θ.
 *
 * Its state holds vectors: `weights`, `average` when `ema` is given, and the optimizer's.
 * The loss is a scalar, differentiable in the parameters.
 */
export function trainStep<I>(parts: {
  readonly loss: (parameters: Parameters, data: I) => Tensor;
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  readonly ema?: Ema | undefined;
}): Step<I> {
  const { loss, layout, optimizer, ema } = parts;
  return ({ [WEIGHTS]: weights, [AVERAGE]: average, ...slots }, { data, scalars }) =>
    tidy(() => {
      if (!weights) throw new RangeError(`the state has no "${WEIGHTS}".`);
      const scalarLoss = () => {
        const value = loss(layout.unpack(weights), data);
        if (value.size !== 1)
          throw new RangeError(`the loss has shape [${value.shape.join(', ')}]; it must be a scalar, such as a mean.`);
        return reshape(value, []) as Scalar;
      };
      const { value, gradient } = gradientOf(scalarLoss, weights);
      const next = optimizer.update({ [WEIGHTS]: weights }, { [WEIGHTS]: gradient }, slots, scalars);
      const state: Record<string, Tensor> = { ...next.parameters, ...next.state };
      if (ema && average)
        state[AVERAGE] = ema.update({ [WEIGHTS]: average }, next.parameters, scalars)[WEIGHTS] as Tensor;
      return { state, loss: value };
    });
}

function gradientOf(f: () => Scalar, x: Tensor): { value: Scalar; gradient: Tensor } {
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
