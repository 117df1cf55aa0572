import {
  type Conditioning,
  checkFinite,
  type EpsFunction,
  type Guided,
  type Model,
  type ModelLike,
  perSample,
  toModel,
} from '@logsnr/core';
import {
  add,
  concat,
  customGrad,
  div,
  mul,
  notEqual,
  type Scalar,
  split,
  sub,
  type Tensor,
  type Tensor1D,
  tidy,
  where,
  zerosLike,
} from '@tensorflow/tfjs-core';
import { type DiffusionLossInputs, diffusionLoss } from './diffusion-loss.js';

/** What a {@link GuidedObjective} sees of a step: all that the plain objective does, and the guidance weights. */
export interface GuidedLossInputs<C> extends Omit<DiffusionLossInputs<C>, 'model' | 'target'> {
  /** The raw output of the network, which knows the guidance weight of each sample. */
  readonly model: EpsFunction<Guided<C>>;
  /** [n] */
  readonly w: Tensor1D;
}

/** How `train` teaches a network that takes the guidance weight with its condition, and so guides in one evaluation. */
export interface GuidedObjective<C> {
  /** A guidance weight from u ~ U[0, 1). */
  readonly weight: (u: number) => number;
  /** A pure function, differentiable in the network's parameters. */
  readonly loss: (inputs: GuidedLossInputs<C>) => Scalar;
}

export interface GuidedWeights {
  /** The least and the largest w that the network is taught. */
  readonly weights: readonly [low: number, high: number];
}

/**
 * Guidance distilled into a network, stage one of Meng et al. 2022 (arXiv 2210.03142, section 3.1): for w uniform in `weights` it learns
 * what the teacher's classifier-free guidance predicts at z_λ, the mean of weight · ‖ε̂(z, c, w) − ε̃‖² with ε̃ = ε_c + w (ε_c − ε_∅),
 * computed in what the network predicts, as `diffusionLoss` is. Where a condition is dropped the target is ε_∅; `pUncond: 0` drops none.
 *
 * The paper weighs by truncated SNR (`truncatedSnr`) and begins with the teacher's weights. It has no public code; this is its equation.
 * @param teacher a model without a memory, borrowed.
 * @throws RangeError unless the weights are finite and in order.
 */
export function distillation<C>(teacher: ModelLike<C>, { weights }: GuidedWeights): GuidedObjective<C> {
  checkWeights(weights);
  const [low, high] = weights;
  const model = toModel(teacher);
  return {
    weight: (u) => low + (high - low) * u,
    loss: ({ model: student, w, ...inputs }) =>
      diffusionLoss({
        ...inputs,
        model: (z, lambda, condition) => student(z, lambda, { condition, w }),
        target: (z, lambda, condition) => guidedBy(model, inputs.conditioning, z, lambda, condition, w),
      }),
  };
}

/** x̂ and ε̂ of classifier-free guidance with a weight for each sample. */
function guidedBy<C>(
  model: Model<C>,
  conditioning: Conditioning<C>,
  z: Tensor,
  lambda: Tensor1D,
  condition: C,
  w: Tensor1D,
): { x: Tensor; eps: Tensor } {
  const twice = <T extends Tensor>(value: T): T => concat([value, value]) as T;
  const memory = model.start(2 * (z.shape[0] as number), z.shape.slice(1));
  if (memory !== null) throw new TypeError('the teacher remembers its calls, which a training step has none of.');
  const both = conditioning.concat(condition, conditioning.nullCondition(condition));
  const { x, eps } = model.predict(twice(z), twice(lambda), both, null);
  const led = (values: Tensor): Tensor => {
    const [own, none] = split(values, 2) as [Tensor, Tensor];
    return add(own, mul(sub(own, none), perSample(w, own)));
  };
  return { x: led(x), eps: led(eps) };
}

/**
 * Guidance-free training, GFT (Chen et al. 2025, arXiv 2501.15420, eq. 9 and Algorithm 1), without a teacher: with β = 1/(1 + w),
 * β ε̂(z, c, w) + (1 − β) sg[ε̂(z, ∅, 0)] learns ε as in plain training, so ε̂(z, c, w) learns ε_c + w (ε_c − ε_∅). sg passes no
 * gradient. β is uniform between those of `weights`; from w = 0 to 9 it is the authors' range but for its last tenth. A sample
 * whose condition is dropped has w = 0. The authors' code mixes with the drawn β there too, which is the same loss with a smaller gradient.
 *
 * A step costs one forward pass more than plain training.
 * @throws RangeError unless 0 ≤ low ≤ high are finite.
 */
export function guidanceFree<C>({ weights }: GuidedWeights): GuidedObjective<C> {
  checkWeights(weights);
  if (weights[0] < 0) throw new RangeError(`weights[0] is ${weights[0]}; guidance-free training takes w ≥ 0.`);
  const [first, last] = weights.map((w) => 1 / (1 + w)) as [number, number];
  return {
    // From β of the largest weight to that of the least.
    weight: (u) => 1 / (last + (first - last) * u) - 1,
    loss({ model: network, w: drawn, ...inputs }) {
      return tidy(() => {
        const { conditioning, dropped } = inputs;
        const w = dropped ? (where(notEqual(dropped, 0), zerosLike(drawn), drawn) as Tensor1D) : drawn;
        const beta = div(1, add(w, 1)) as Tensor1D;
        return diffusionLoss({
          ...inputs,
          model(z, lambda, condition) {
            const own = network(z, lambda, { condition, w });
            const none = withoutGradient(z, () =>
              network(z, lambda, { condition: conditioning.nullCondition(condition), w: zerosLike(w) }),
            );
            const share = perSample(beta, z);
            return add(mul(own, share), mul(none, sub(1, share)));
          },
        });
      });
    },
  };
}

/** What `f` makes at `z`, through which no gradient passes; none of it is recorded. */
const withoutGradient = (z: Tensor, f: () => Tensor): Tensor =>
  customGrad((z) => ({ value: f(), gradFunc: () => zerosLike(z as Tensor) }))(z);

/** Throws a `RangeError` unless the weights are finite and in order. */
export function checkWeights([low, high]: readonly [number, number]): void {
  checkFinite('weights[0]', low);
  checkFinite('weights[1]', high);
  if (!(low <= high)) throw new RangeError(`the weights are [${low}, ${high}]; give the least first.`);
}
