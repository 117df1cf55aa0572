import { checkInteger, epsOf, fold, type Key, type ModelLike, normal, sigmoid } from '@logsnr/core';
import { uniform } from '@logsnr/schedules';
import { diffusionLoss, drawLambda } from '@logsnr/training';
import {
  add,
  expandDims,
  linspace,
  logSumExp,
  mean,
  mul,
  round,
  square,
  sub,
  type Tensor,
  tensor1d,
  tidy,
} from '@tensorflow/tfjs-core';

export interface VlbOptions<C> {
  /** The model to judge; see `bind`. */
  readonly model: ModelLike<C>;
  /** n images [n, …] in [−1, 1], borrowed. */
  readonly x: Tensor;
  /** n conditions, borrowed. */
  readonly condition: C;
  /** The ends of the λ that the bound covers. −5 and 13.3 unless given, as in Variational Diffusion Models. */
  readonly lambdaMin?: number;
  readonly lambdaMax?: number;
  /** Values that a pixel can have, equally spaced over [−1, 1]; or "continuous". 256 unless given. */
  readonly levels?: number | 'continuous';
  /** How many λ to draw for each image. 1 unless given. */
  readonly draws?: number;
  readonly key: Key;
}

/** The bound and its terms in bits per dimension, mean over the images. */
export interface Vlb {
  readonly prior: number;
  readonly diffusion: number;
  readonly reconstruction: number;
  readonly total: number;
}

/**
 * An upper bound of −log₂ p(x) per dimension: the variational bound in continuous time (Kingma et al. 2021, arXiv
 * 2107.00630, eq. 11, with its continuous-time term as an integral over λ). With d dimensions, in nats before the
 * division by d ln 2:
 * - prior: KL(q(z_λmin | x) ‖ N(0, I)) = ½ Σ (α² x² + σ² − 1 − ln σ²) at λ_min;
 * - diffusion: ½ (λ_max − λ_min) E_λ ‖ε_θ(z_λ) − ε‖², λ ~ U[λ_min, λ_max], stratified;
 * - reconstruction: −E ln p(x | z_λmax), p(x_i | z_i) ∝ N(z_i; α x_i, σ²) over the levels that x_i can have;
 *   "continuous": N(x_i; z_i/α, σ²/α²), and the bound is one of a density.
 * @throws RangeError on options out of their range.
 */
export async function vlb<C>(options: VlbOptions<C>): Promise<Vlb> {
  const { model, x, condition, lambdaMin = -5, lambdaMax = 13.3, levels = 256, draws = 1, key } = options;
  const schedule = uniform({ lambdaMin, lambdaMax });
  if (levels !== 'continuous') checkInteger('levels', levels, 2);
  checkInteger('draws', draws, 1);
  const n = x.shape[0] as number;
  const bits = 1 / Math.LN2;

  const power = await read(tidy(() => mean(square(x))));
  const noise = sigmoid(lambdaMin);
  // σ² − 1 − ln σ² with σ² = 1 − α², without cancellation.
  const prior = 0.5 * (noise * power - noise - Math.log1p(-noise)) * bits;

  const u = drawLambda(schedule, fold(key, 0), n * draws);
  let squared = 0;
  for (let draw = 0; draw < draws; draw++)
    squared +=
      (await read(
        tidy(() =>
          diffusionLoss({
            model: epsOf(model),
            conditioning: { drop: (c) => c, nullCondition: (c) => c, concat: (c) => c },
            x,
            condition,
            lambda: tensor1d(Float32Array.from(u.subarray(draw * n, (draw + 1) * n))),
            eps: normal(fold(key, 1, draw), x.shape),
            dropped: tensor1d(new Float32Array(n)),
          }),
        ),
      )) / draws;
  const diffusion = 0.5 * (lambdaMax - lambdaMin) * squared * bits;

  const reconstruction =
    bits *
    (levels === 'continuous'
      ? gaussian(lambdaMax)
      : await read(tidy(() => discrete(x, normal(fold(key, 2), x.shape), lambdaMax, levels))));
  return { prior, diffusion, reconstruction, total: prior + diffusion + reconstruction };
}

/** −E ln N(x; z/α, σ²/α²) per dimension: x − z/α is −(σ/α) ε. */
const gaussian = (lambda: number): number => 0.5 * (1 + Math.log(2 * Math.PI) - lambda);

/**
 * −ln p(x | z) per dimension, over the levels v_j: with δ = z/α − x = (σ/α) ε and d_j = x − v_j it is ln Σ_j exp(−½ e^λ
 * d_j (2δ + d_j)), e^λ being the precision of x given z. From levels' numbers, so that d_j is exactly 0 at x's own.
 */
function discrete(x: Tensor, eps: Tensor, lambda: number, levels: number): Tensor {
  const own = round(mul(add(x, 1), (levels - 1) / 2));
  const d = mul(sub(expandDims(own, -1), linspace(0, levels - 1, levels)), 2 / (levels - 1));
  const delta = expandDims(mul(eps, Math.exp(-lambda / 2)), -1);
  return mean(logSumExp(mul(mul(d, add(mul(delta, 2), d)), -0.5 * Math.exp(lambda)), -1));
}

async function read(value: Tensor): Promise<number> {
  const [number] = await value.data<'float32'>();
  value.dispose();
  return number as number;
}
