import { alpha, checkShape, combine, fold, normal, sigma, toModel } from '@logsnr/core';
import { fill, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { ddim } from './ancestral.js';
import { eagerly, lastOf, type SampleOptions, sample } from './sample.js';
import { checkRenoise, type Sampler } from './sampler.js';
import { follow, pointsOf } from './walk.js';

/** The options of `sample`, without what only noise needs. */
export interface InvertOptions<C, S>
  extends Omit<SampleOptions<C, S>, 'sampler' | 'shape' | 'key' | 'firstSample' | 'z' | 'end'> {
  /** Clean data, [n, …]; borrowed. */
  x: Tensor;
  /** A deterministic sampler whose step holds in both directions, such as `ddim()` (unless given) and `heun()`. */
  sampler?: Sampler<S>;
}

/**
 * The noise that a deterministic sampler would make `x` of: the flow from data to noise, λ_T → … → λ_1, by the same step
 * with λ' < λ. With `ddim()` this is DDIM inversion (Song et al. 2021, arXiv 2010.02502, section 4.3; Dhariwal & Nichol
 * 2021), with `heun()` Heun's. The first move, from x to λ_T, is z = α x + σ ε̂(α x, λ_T).
 * @returns z at λ_1, which `sample` takes as `z`: along the same grid it comes back to x up to the sampler's error.
 * @throws RangeError on a grid that does not increase strictly; Error when the sampler draws noise.
 */
export function invert<C, S = null>({ model: like, condition, x, lambdas, sampler }: InvertOptions<C, S>): Tensor {
  const points = pointsOf(lambdas).slice(0, -1).reverse();
  const model = toModel(like);
  const inner = (sampler ?? ddim()) as Sampler<S>;
  checkRenoise(model.gives, inner);
  const noise = () => {
    throw new Error(`the sampler "${inner.name}" draws noise; only a deterministic one can be inverted.`);
  };
  const [n, ...shape] = x.shape as [number, ...number[]];
  return tidy(() => {
    const last = points[0] as number;
    const bare = combine([alpha(last), x]);
    const there = model.at(last);
    const { eps, memory } = there.predict(bare, fill([n], last), condition, model.start(n, shape));
    const z = combine([1, bare], [sigma(last), eps]);
    if (points.length === 1) return z;
    const first = () => ({ z: z.clone(), state: inner.init(z, points), memory });
    return lastOf(follow(eagerly(model, condition, inner), first, noise, points));
  });
}

/**
 * SDEdit (Meng et al. 2022, arXiv 2108.01073): noise is added to `x` up to log-SNR `from`, and sampling goes on from there
 * along the points of the grid beyond it. A smaller λ leaves less of x.
 * @throws RangeError unless x has the samples' shape and `from` is finite.
 */
export function sdedit<C, S>({
  x,
  from,
  ...options
}: Omit<SampleOptions<C, S>, 'z'> & { x: Tensor; from: number }): Tensor {
  checkShape('x', x, options.shape);
  const lambdas = [from, ...options.lambdas.filter((lambda) => lambda > from)];
  pointsOf(lambdas, options.end);
  const z = tidy(() =>
    combine([alpha(from), x], [sigma(from), normal(fold(options.key, 0, 0), options.shape, options.firstSample)]),
  );
  try {
    return sample({ ...options, lambdas, z });
  } finally {
    z.dispose();
  }
}
