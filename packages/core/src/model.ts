import type { Tensor, Tensor1D } from '@tensorflow/tfjs-core';
import { checkShape } from './check.js';
import type { Cost } from './cost.js';
import { scoped } from './scoped.js';
import type { Tree } from './tree.js';

/**
 * What is known of x and ε at z_λ = α x + σ ε. `x` and `eps` belong together: z = α x̂ + σ ε̂. A step to λ' goes to
 * α' x̂ + σ' ε̂_renoise.
 */
export interface Estimate<V = Tensor> {
  /** x̂, of z's shape. */
  readonly x: V;
  /** ε̂, of z's shape. */
  readonly eps: V;
  /**
   * The ε̂ to renoise with, where it is not `eps`: CFG++ (Chung et al. 2024, arXiv 2406.08070) takes x̂ from the guided
   * prediction and renoises with the unconditional one.
   */
  readonly renoise: V | null;
  /**
   * A learned variance, of z's shape: the exponent v ∈ [0, 1] of the reverse process's (σ̃²)^{1−v} (σ²)^v, one for each
   * value (Nichol & Dhariwal 2021, arXiv 2102.09672, eq. 15).
   */
  readonly variance: V | null;
}

/** What a model remembers from one call to the next: a tree of tensors whose first axis is the batch; null for nothing. */
export type Memory = Tree<Tensor | null>;

/** An estimate and what the model remembers after making it. The caller owns all of it. */
export interface Predicted extends Estimate {
  readonly memory: Memory;
}

/** Which of an estimate's optional parts a model gives, at every λ. */
export interface Gives {
  readonly renoise: boolean;
  readonly variance: boolean;
}

/**
 * A model of data under noise: from z [n, …], λ [n] in nats (one a sample) and n conditions it predicts x̂ and ε̂. Guidance
 * takes models and gives a model; a sampler walks with one. Make one by {@link defineModel}, {@link toModel} or
 * {@link derive}, so that no part is forgotten.
 */
export interface Model<C> {
  /** Borrows its arguments, the memory too; the caller owns what it returns. Pure and free of reads, so it can be compiled. */
  predict(z: Tensor, lambda: Tensor1D, condition: C, memory: Memory): Predicted;
  /** The memory before the first call, for n samples of `shape` (without the batch). The caller owns it. */
  start(n: number, shape: readonly number[]): Memory;
  /** What a call costs at a log-SNR. */
  cost(lambda: number): Cost;
  /**
   * The same model for calls at this λ alone, where less may do: guidance whose w(λ) is 0 is the model that it wraps. It has
   * the same memory. For the same answer it is the same object, so that one graph can serve it.
   */
  at(lambda: number): Model<C>;
  readonly gives: Gives;
}

/** A plain noise prediction ε_θ(z_λ, c), of z's shape: accepted wherever a model is. The caller owns the result. */
export type EpsFunction<C> = (z: Tensor, lambda: Tensor1D, condition: C) => Tensor;

export type ModelLike<C> = Model<C> | EpsFunction<C>;

/** What {@link defineModel} takes: a prediction and its cost; what is left out is not there. */
export interface ModelParts<C> {
  /** Called within a tidy, after the shape of λ was checked. */
  predict(
    z: Tensor,
    lambda: Tensor1D,
    condition: C,
    memory: Memory,
  ): Pick<Estimate, 'x' | 'eps'> & Partial<Pick<Estimate, 'renoise' | 'variance'>> & { readonly memory?: Memory };
  cost(lambda: number): Cost;
  gives?: Partial<Gives> | undefined;
  start?: ((n: number, shape: readonly number[]) => Memory) | undefined;
  /** See {@link Model.at}; the model itself unless given. */
  at?: ((lambda: number) => Model<C>) | undefined;
}

/** What {@link defineModel} made: its predictions are checked. */
export const checked = new WeakSet<object>();

/**
 * The one constructor of models. Its `predict` frees what it makes on the way.
 * @throws RangeError, in use, when λ is not one number a sample or x̂ and ε̂ are not of z's shape; TypeError when a part comes
 *   that `gives` does not name, or does not come.
 */
export function defineModel<C>({ predict, cost, gives = {}, start, at }: ModelParts<C>): Model<C> {
  const given: Gives = { renoise: gives.renoise ?? false, variance: gives.variance ?? false };
  const model: Model<C> = {
    predict(z, lambda, condition, memory) {
      checkShape('lambda', lambda, [z.shape[0] ?? null]);
      return scoped(() => {
        const { x, eps, renoise = null, variance = null, memory: next = null } = predict(z, lambda, condition, memory);
        const estimate = { x, eps, renoise, variance };
        for (const [name, value] of Object.entries(estimate))
          if (value) checkShape(`the model's ${name}`, value, z.shape);
        for (const part of ['renoise', 'variance'] as const)
          if ((estimate[part] !== null) !== given[part])
            throw new TypeError(
              `the model ${given[part] ? 'gives no' : 'gives a'} ${part}, against what its \`gives\` says.`,
            );
        return { ...estimate, memory: next };
      });
    },
    start: (n, shape) => (start ? scoped(() => start(n, shape)) : null),
    cost: (lambda) => cost(lambda),
    at: (lambda) => at?.(lambda) ?? model,
    gives: given,
  };
  checked.add(model);
  return model;
}

/**
 * A model made of others: `build` gets them and says what is made of their predictions. Its memory, unless `build` gives
 * another, is the list of theirs, and its variants at a λ are built of theirs.
 */
export function derive<Models extends readonly Model<never>[], C>(
  models: readonly [...Models],
  build: (models: readonly [...Models]) => ModelParts<C>,
): Model<C> {
  const variants: { of: readonly Model<never>[]; model: Model<C> }[] = [];
  const made = (of: readonly [...Models]): Model<C> => {
    const known = variants.find((variant) => variant.of.every((model, i) => model === of[i]));
    if (known) return known.model;
    const parts = build(of);
    const model: Model<C> = defineModel<C>({
      start: (n, shape) => models.map((model) => model.start(n, shape)),
      ...parts,
      at: (lambda): Model<C> => {
        const there = made(models.map((model) => model.at(lambda)) as unknown as readonly [...Models]);
        return there === model ? (parts.at?.(lambda) ?? model) : there.at(lambda);
      },
    });
    variants.push({ of, model });
    return model;
  };
  return made(models);
}

/** The memory of model `i` of those that {@link derive} was given. */
export const memoryOf = (memory: Memory, i: number): Memory => (memory as readonly Memory[] | null)?.[i] ?? null;

/**
 * A model for conditions of another kind: `to` makes its own condition of them. All that it gives, remembers and costs stays.
 * @param to called within a tidy.
 */
export const withCondition = <C, D>(model: Model<C>, to: (condition: D, z: Tensor, lambda: Tensor1D) => C): Model<D> =>
  derive<readonly [Model<C>], D>([model], ([inner]) => ({
    predict: (z, lambda, condition, memory) => inner.predict(z, lambda, to(condition, z, lambda), memory),
    cost: inner.cost,
    gives: inner.gives,
    start: inner.start,
  }));
