import {
  checkInteger,
  checkWithin,
  fold,
  free,
  mapTensors,
  type Runtime,
  scoped,
  uniforms,
  type WeightedModel,
  zipTensors,
} from '@logsnr/core';
import { concat, gather, mul, slice, type Tensor, tensor1d } from '@tensorflow/tfjs-core';
import { type CompiledSampler, compileSampler, type DrawOptions } from './compile-sampler.js';
import { effectiveSize, rangeOf, systematic } from './resample.js';
import { firstNoise, trajectory } from './sample.js';
import { modelCalls, type Sampler } from './sampler.js';
import type { Carried, Step, Steps } from './walk.js';

export interface ParticleOptions<C> extends Pick<DrawOptions<C>, 'lambdas' | 'key'> {
  /** Particles of a population: they share a condition, and resampling stays among them. */
  readonly particles: number;
  /** Populations; 1 unless given. */
  readonly populations?: number | undefined;
  /** Number of the first population in its run (0): a run split at populations gives the samples of the whole. */
  readonly firstPopulation?: number | undefined;
  /** Shape of one particle. */
  readonly shape: readonly number[];
  /** Conditions of `n` particles from number `first` on, population after population; freed at the end. */
  readonly condition: (first: number, n: number) => C;
  /** Particles through the model at once; a population unless given. It may cut one in pieces. */
  readonly batch?: number | undefined;
  /** A population is resampled after a step when its effective size is below this share of it: 0.5 unless given, 0 only at the end. */
  readonly threshold?: number | undefined;
  /** Told after every step. */
  readonly onStep?: ((step: ParticleStep) => void) | undefined;
}

/** How particles stand after a step. */
export interface ParticleStep {
  readonly step: number;
  readonly steps: number;
  /** The effective size (Σ W)²/Σ W² of each population, before resampling. */
  readonly effective: readonly number[];
  readonly resampled: readonly boolean[];
}

/** Particles by a model and a sampler, their graphs kept until `dispose`. */
export interface ParticleSampler<C> {
  /** Particles that are all worth the same, [populations · particles, …]; the caller's. */
  sample(options: ParticleOptions<C>): Tensor;
  dispose(): void;
}

/**
 * Feynman–Kac correctors (Skreta et al. 2025, arXiv 2503.02819): particles that walk as any samples do, weigh themselves by how
 * far that leads them from the density that their model aims at (`tilted`, `product` of `@logsnr/guidance`), and are resampled, so that
 * with more particles and steps they are samples of that density. Systematic resampling, keyed: all is a function of the key and of the numbers
 * of population, particle and step. Where weights are equal, the samples are those of `sample` bit for bit.
 *
 * The weights belong to the path of any one step that calls the model once, at its beginning: `ancestral`, `ddim`, `dpmSolverPP2M`,
 * `saSolver` and others. Of a deterministic sampler a resampled particle stays double for ever, so take noise.
 * @param runtime where it runs: each step in one graph, or operation by operation unless given.
 * @throws TypeError for a sampler that calls the model otherwise; RangeError on a wrong number, and in use when a weight is NaN or +∞ or when
 *   all of a population are 0.
 */
export function feynmanKac<C, S>({
  model,
  sampler,
  runtime,
}: {
  model: WeightedModel<C>;
  sampler: Sampler<S>;
  runtime?: Runtime | undefined;
}): ParticleSampler<C> {
  const walker = alongPath(sampler);
  const draw: Pick<CompiledSampler<C>, 'trajectory' | 'dispose'> = runtime
    ? compileSampler(runtime, { model, sampler: walker })
    : { trajectory: (options) => trajectory({ ...options, model, sampler: walker }), dispose() {} };
  return {
    sample(options) {
      const run = checked(options);
      if (modelCalls(sampler, run.lambdas) !== run.lambdas.length) throw notAlong(sampler);
      const batches = batchesOf(run);
      const borrowed: unknown[] = [];
      const walks: Steps[] = [];
      let given: (AllCarried | undefined)[] = [];
      try {
        for (const { first: firstSample, n } of batches) {
          const [condition, shape] = [run.condition(firstSample, n), [n, ...run.shape]];
          borrowed.push(condition);
          const own = { lambdas: run.lambdas, key: run.key, shape, firstSample, condition };
          if (model.startStd === 1) walks.push(draw.trajectory(own));
          else {
            const z = scoped(() => mul(firstNoise(run.key, shape, firstSample), model.startStd));
            borrowed.push(z);
            walks.push(draw.trajectory({ ...own, z }));
          }
        }
        for (;;) {
          const now = walks.map((walk, i) => {
            const next = given[i];
            given[i] = undefined;
            return walk.next(next).value as Step;
          });
          const { step, steps, lambda } = now[0] as Step;
          const logWeights = new Float64Array(run.populations * run.particles);
          for (const [i, { carried }] of now.entries())
            logWeights.set(model.logWeights(carried.memory).dataSync(), batches[i]?.from);
          const { ancestors, resampled, effective } = resample(logWeights, run, { step, steps, lambda });
          run.onStep?.({ step, steps, effective, resampled });
          if (step === steps)
            return scoped(() => {
              const x = concat(now.map(({ z }) => z));
              return ancestors ? gather(x, tensor1d(ancestors, 'int32')) : x;
            });
          if (!ancestors) continue;
          const indices = ancestors;
          given = scoped(() => {
            const all = regrouped(now.map(({ carried }) => carried) as [AllCarried, ...AllCarried[]], indices);
            return batches.map(({ from, n }) => {
              const own = mapTensors(all, (tensor) => slice(tensor, from, n));
              const weights = tensor1d(Float32Array.from(logWeights.subarray(from, from + n)));
              return { ...own, memory: model.withLogWeights(own.memory, weights) };
            });
          });
        }
      } finally {
        for (const walk of walks) walk.return();
        free([given, borrowed]);
      }
    },
    dispose: () => draw.dispose(),
  };
}

type AllCarried = Carried<unknown, Tensor>;
type Run<C> = ReturnType<typeof checked<C>>;

function checked<C>(options: ParticleOptions<C>) {
  const { particles, populations = 1, firstPopulation = 0, batch = particles, threshold = 0.5 } = options;
  for (const [what, value] of Object.entries({ particles, populations, batch })) checkInteger(what, value, 1);
  checkInteger('firstPopulation', firstPopulation);
  checkWithin('threshold', threshold, 0, 1);
  return { ...options, particles, populations, firstPopulation, batch, threshold };
}

/** Where each batch begins, in this run (`from`) and in the whole (`first`), and its size. */
function batchesOf({ particles, populations, firstPopulation, batch }: Run<unknown>) {
  const samples = populations * particles;
  return Array.from({ length: Math.ceil(samples / batch) }, (_, i) => {
    const from = i * batch;
    return { from, first: firstPopulation * particles + from, n: Math.min(batch, samples - from) };
  });
}

/** Which particle each goes on from, or null where all stay. Sets the log weights of the populations that are resampled to 0. */
function resample(
  logWeights: Float64Array,
  { particles, populations, firstPopulation, threshold, key }: Run<unknown>,
  { step, steps, lambda }: Pick<Step, 'step' | 'steps' | 'lambda'>,
) {
  const [effective, resampled]: [number[], boolean[]] = [[], []];
  let ancestors: Int32Array | null = null;
  for (let p = 0; p < populations; p++) {
    const from = p * particles;
    const own = logWeights.subarray(from, from + particles);
    checkWeights(own, `of population ${firstPopulation + p} after step ${step}, to λ = ${lambda}`);
    const size = effectiveSize(own);
    const { most, least } = rangeOf(own);
    effective.push(size);
    resampled.push(most !== least && (step === steps || size < threshold * particles));
    if (!resampled[p]) continue;
    // Noise has the keys (step, draw) with steps from 1 on, and the first z has (0, 0).
    const u = uniforms(fold(key, 0, 1, step, firstPopulation + p), 1)[0] as number;
    ancestors ??= Int32Array.from({ length: logWeights.length }, (_, i) => i);
    for (const [i, j] of systematic(own, u).entries()) ancestors[from + i] = from + j;
    own.fill(0);
  }
  return { ancestors, effective, resampled };
}

function checkWeights(logWeights: Float64Array, where: string): void {
  let [zeros, wrong] = [0, -1];
  for (let i = 0; i < logWeights.length; i++) {
    const log = logWeights[i] as number;
    if (log === Number.NEGATIVE_INFINITY) zeros++;
    else if (!(log < Number.POSITIVE_INFINITY) && wrong < 0) wrong = i;
  }
  if (wrong >= 0)
    throw new RangeError(
      `the log weight of particle ${wrong} ${where} is ${logWeights[wrong]}; it must be a number below +∞. The model's predictions are not finite there, or too large for float32: take more steps or smaller exponents.`,
    );
  if (zeros === logWeights.length)
    throw new RangeError(`all weights ${where} are 0; take more particles, more steps or smaller exponents.`);
}

/** All that the batches carry as one, each particle in the place of those that go on from it. To be called within a tidy. */
const regrouped = (parts: readonly [AllCarried, ...AllCarried[]], ancestors: Int32Array): AllCarried => {
  const indices = tensor1d(ancestors, 'int32');
  return zipTensors(parts, (...own) => gather(concat(own), indices));
};

const notAlong = ({ name }: Pick<Sampler, 'name'>): TypeError =>
  new TypeError(
    `the sampler "${name}" does not call the model once a step, at the step's beginning, where the weights need it; take such as ancestral() or dpmSolverPP2M({ eta: 1 }).`,
  );

/** The same sampler, which throws unless it calls the model once a step, for z and λ at its beginning. */
function alongPath<S>(sampler: Sampler<S>): Sampler<S> {
  return {
    ...sampler,
    step(context, state) {
      let calls = 0;
      const predict: typeof context.predict = (z, lambda) => {
        if (calls++ > 0 || z !== context.z || lambda !== context.from) throw notAlong(sampler);
        return context.predict(z, lambda);
      };
      return sampler.step({ ...context, predict }, state);
    },
  };
}
