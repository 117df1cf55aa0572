import { ADAM, type AdamAttrs } from '@logsnr/nn';
import {
  add,
  div,
  engine,
  getBackend,
  getKernel,
  mul,
  scalar,
  sqrt,
  square,
  sub,
  type Tensor,
} from '@tensorflow/tfjs-core';

/** A parameter, its gradient and its two moments, of one shape. */
export type Moments = Readonly<Record<'p' | 'g' | 'm' | 'v', Tensor>>;

/** Scalars of this step: see `adam`. Without `keep` the weights do not decay. */
export interface AdamScalars {
  readonly rate: Tensor;
  readonly epsilon: Tensor;
  readonly keep?: Tensor | undefined;
}

/** How the step is made: by a kernel of the backend's, or from many of its operations. */
export type AdamMethod = 'kernel' | 'composed';

/** `kernel` where the current backend has one. */
export const adamMethod = (): AdamMethod => (getKernel(ADAM, getBackend()) ? 'kernel' : 'composed');

/**
 * m' = β₁ m + (1 − β₁) g, v' = β₂ v + (1 − β₂) g², p' = keep · p − rate · m'/(√v' + epsilon), as [p', m', v']. Call it
 * within a tidy.
 */
export function adamStep(
  { p, g, m, v }: Moments,
  { rate, epsilon, keep }: AdamScalars,
  { beta1, beta2 }: AdamAttrs,
  method: AdamMethod = adamMethod(),
): [Tensor, Tensor, Tensor] {
  if (method === 'kernel') {
    const inputs = { p, g, m, v, rate, epsilon, keep: keep ?? scalar(1) };
    return engine().runKernel(ADAM, inputs, { beta1, beta2 } as never) as unknown as [Tensor, Tensor, Tensor];
  }
  const mean = add(mul(m, beta1), mul(g, 1 - beta1));
  const squares = add(mul(v, beta2), mul(square(g), 1 - beta2));
  const change = div(mul(mean, rate), add(sqrt(squares), epsilon));
  return [sub(keep ? mul(p, keep) : p, change), mean, squares];
}
