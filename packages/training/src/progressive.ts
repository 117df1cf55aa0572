import {
  checkIncreasing,
  type Guided,
  type Model,
  type ModelLike,
  perSample,
  type Schedule,
  scales,
  toModel,
} from '@logsnr/core';
import {
  add,
  cast,
  gather,
  greater,
  mul,
  reshape,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  tensor1d,
  tensor2d,
} from '@tensorflow/tfjs-core';
import { diffusionLoss } from './diffusion-loss.js';
import { checkWeights, type GuidedObjective, type GuidedWeights } from './guided-objective.js';

/** A stage of progressive distillation: an objective of `train`, the λ to train at, and the grid to sample on. */
export interface ProgressiveStage<C> extends GuidedObjective<C> {
  /** The student's grid: every second point of the teacher's. */
  readonly lambdas: readonly number[];
  /** Each of these points alike: the `schedule` of `train`. */
  readonly schedule: Schedule;
}

/**
 * Progressive distillation (Salimans & Ho 2022, arXiv 2202.00512, Algorithm 2) of a network that guides in one evaluation, stage two of Meng et
 * al. 2022 (arXiv 2210.03142, section 3.2): one DDIM step of the student learns two of the teacher, so it samples on half the grid. The stage's student
 * is the next one's teacher: 32 → 16 → 8 → 4 points.
 *
 * From z at λ the teacher goes to λ' and λ'' with the predictions x̂_1, ε̂_1 and x̂_2, ε̂_2. The x̃ that goes from z to the same z'' in one step is,
 * with r = α/σ = e^{λ/2} and q = σ/α,
 *
 * x̃ = x̂_1 + (r'' − r')/(r'' − r) (x̂_2 − x̂_1), ε̃ = ε̂_1 + (q' − q'')/(q − q'') (ε̂_2 − ε̂_1),
 *
 * which is the paper's (z'' − σ''/σ z)/(α'' − σ''/σ α) without its cancellation. After the last point a walk goes to clean data, r'' = ∞, so there
 * x̃ is x̂_2. w is uniform in `weights`, those of the teacher. The paper weighs by `truncatedSnr`; train with `pUncond: 0`, a network that
 * predicts v, and the teacher's parameters to begin with.
 * @param teacher a model without a memory, borrowed, that walks on `lambdas` by DDIM.
 * @throws RangeError unless the grid increases and has an even number of points, and the weights are finite and in order.
 */
export function progressive<C>(
  teacher: ModelLike<Guided<C>>,
  { lambdas, weights }: GuidedWeights & { readonly lambdas: readonly number[] },
): ProgressiveStage<C> {
  checkIncreasing(lambdas);
  checkWeights(weights);
  if (lambdas.length % 2 !== 0)
    throw new RangeError(
      `the teacher's grid has ${lambdas.length} points; it must have an even number, two for each step of the student.`,
    );
  const [low, high] = weights;
  const model = toModel(teacher);
  const own = lambdas.filter((_, i) => i % 2 === 0);
  const steps = own.map((from, i) => stepFrom(from, lambdas[2 * i + 1] as number, own[i + 1]));
  return {
    lambdas: own,
    // u falls as λ rises.
    schedule: (u) => own[Math.max(0, own.length - 1 - Math.floor(u * own.length))] as number,
    weight: (u) => low + (high - low) * u,
    loss: ({ model: student, w, ...inputs }) =>
      diffusionLoss({
        ...inputs,
        model: (z, lambda, condition) => student(z, lambda, { condition, w }),
        target: (z, lambda, condition) => twoSteps(model, z, lambda, { condition, w }, own, steps),
      }),
  };
}

/** Where the teacher stops on the way, and the shares of its second prediction. */
interface TwoSteps {
  readonly middle: number;
  readonly x: number;
  readonly eps: number;
}

/** A student's step; without `to` it is the last one, to clean data. */
function stepFrom(from: number, middle: number, to: number | undefined): TwoSteps {
  if (to === undefined) return { middle, x: 1, eps: Math.exp((from - middle) / 2) };
  return {
    middle,
    x: Math.expm1((middle - to) / 2) / Math.expm1((from - to) / 2),
    eps: Math.expm1((to - middle) / 2) / Math.expm1((to - from) / 2),
  };
}

/** x̃ and ε̃ of the one step that two of the model's make, each sample from its own point. */
function twoSteps<C>(
  model: Model<C>,
  z: Tensor,
  lambda: Tensor1D,
  condition: C,
  points: readonly number[],
  steps: readonly TwoSteps[],
): { x: Tensor; eps: Tensor } {
  if (model.start(z.shape[0] as number, z.shape.slice(1)) !== null)
    throw new TypeError('the teacher remembers its calls, which a training step has none of.');
  // Of the marks halfway between two points, how many are passed; the last one nobody passes.
  const marks = points.map((point, i) => (point + (points[i + 1] ?? Number.MAX_SAFE_INTEGER)) / 2);
  const place = cast(sum(cast(greater(reshape(lambda, [-1, 1]), tensor2d([marks])), 'int32'), 1), 'int32');
  const at = (of: (step: TwoSteps) => number) => gather(tensor1d(steps.map(of)), place as Tensor1D) as Tensor1D;
  const middle = at((step) => step.middle);
  const first = model.predict(z, lambda, condition, null);
  const { alpha, sigma } = scales(z, middle);
  const halfway = add(mul(alpha, first.x), mul(sigma, first.eps));
  const second = model.predict(halfway, middle, condition, null);
  const between = (a: Tensor, b: Tensor, share: Tensor1D) => add(a, mul(sub(b, a), perSample(share, a)));
  return {
    x: between(
      first.x,
      second.x,
      at((step) => step.x),
    ),
    eps: between(
      first.eps,
      second.eps,
      at((step) => step.eps),
    ),
  };
}
