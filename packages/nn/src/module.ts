import type { Key, Tree } from '@logsnr/core';
import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';

/** A parameter before it has values. It is a class, so `flatten` and `mapLeaves` of `@logsnr/core` take it for a leaf. */
export class ParameterSpec {
  constructor(
    readonly shape: readonly number[],
    /** Its first values, a function of the key alone. The caller owns them. */
    readonly init: (key: Key) => Tensor,
  ) {}
}

/** A module's parameters: tensors under nested names. Files hold them under their paths (`flatten` of `@logsnr/core`). */
export type Parameters = { readonly [name: string]: Tree<Tensor> };
export type ParameterSpecs = { readonly [name: string]: Tree<ParameterSpec> };

/** How a module is applied, beside its parameters and its input. */
export interface Context {
  /** True in training, where dropout drops. */
  readonly train: boolean;
  /** The key of what is random in this call, int32 [2]. It is a tensor, so a graph takes another one at every step. */
  readonly key?: Tensor1D | undefined;
  /** The module's path in the one that was applied first. It names a random layer's stream. Callers leave it out. */
  readonly path?: string | undefined;
  /** Stands around each application of a module, of the path '' first: it calls `run` and gives back what that gives. */
  readonly observe?: (<O>(path: string, run: () => O) => O) | undefined;
}

/** A layer or a network as a value. It holds no weights. It knows how to make and to use them. */
export interface Module<I, O> {
  readonly parameters: ParameterSpecs;
  /** Fresh parameters, a function of the key and of each parameter's name alone. The caller owns them. */
  init(key: Key): Parameters;
  /** The output, which the caller owns. It is differentiable in the parameters and the input. */
  apply(parameters: Parameters, input: I, context?: Context): O;
}

/** What a network of a diffusion model is given: z [n, …], λ [n] in nats, and n conditions. */
export interface NetworkInput<C> {
  readonly z: Tensor;
  readonly lambda: Tensor1D;
  readonly condition: C;
}

/** A network of a diffusion model: its output is a prediction of z's shape, or that and more channels. */
export type Network<C> = Module<NetworkInput<C>, Tensor>;
