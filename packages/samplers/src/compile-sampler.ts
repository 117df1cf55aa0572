import { type Cost, inTurn, type Model, type ModelLike, type Runtime, tensorsOf, toModel } from '@logsnr/core';
import { type Tensor, tensor1d } from '@tensorflow/tfjs-core';
import { type Program, type ProgramInputs, recordStep, runProgram } from './program.js';
import { drawn, lastOf, type SampleOptions } from './sample.js';
import type { Sampler } from './sampler.js';
import type { Advance, Steps } from './walk.js';

/** The options of `sample` without the model and the sampler. */
export type DrawOptions<C> = Omit<SampleOptions<C, unknown>, 'model' | 'sampler'>;

/** A model and a sampler in compiled graphs, kept until `dispose`. */
export interface CompiledSampler<C> {
  sample(options: DrawOptions<C>): Tensor;
  trajectory(options: DrawOptions<C>): Steps;
  dispose(): void;
}

/**
 * Sampling with each step in one graph: the model, guidance and the sampler's arithmetic. λ and the coefficients enter
 * as numbers, so one graph serves all steps that do the same: where w(λ) is 0 that of the model alone, and commonly one for all
 * other steps but the last. The samples are those of `sample` to float32 rounding.
 * @throws TypeError at the first step of a sampler whose step does more than `combine`, `scaleByExp`, `predict` and `noise`.
 */
export function compileSampler<C, S>(
  runtime: Runtime,
  { model: like, sampler }: { model: ModelLike<C>; sampler: Sampler<S> },
): CompiledSampler<C> {
  const model = toModel(like);
  // A model's variants at the λ of the steps so far; a program names one by its number.
  const variants: Model<C>[] = [];
  const variantOf = (lambda: number): number => {
    const there = model.at(lambda);
    const known = variants.indexOf(there);
    return known >= 0 ? known : variants.push(there) - 1;
  };
  // As text the program is one constant to compare, not a structure to walk at every step.
  const run = runtime.jit((program: string, inputs: ProgramInputs<C>) =>
    runProgram(variants, JSON.parse(program) as Program, inputs),
  );
  const engine =
    (condition: C): Advance<unknown, Tensor> =>
    (place, { z, state, memory }) => {
      const asked: Cost[] = [];
      const { program, numbers, draws, stateOf } = recordStep(sampler as Sampler<unknown>, place, state, {
        gives: model.gives,
        variantOf(lambda) {
          asked.push(model.at(lambda).cost(lambda));
          return variantOf(lambda);
        },
      });
      const inputs = {
        registers: [z, ...tensorsOf(state)],
        noises: Array.from({ length: draws }, place.noise),
        numbers: tensor1d(Float32Array.from(numbers), 'float32'),
        condition,
        memory,
      };
      const { results, memory: next } = run(JSON.stringify(program), inputs);
      return { z: results[0] as Tensor, state: stateOf(results.slice(1)), memory: next, cost: inTurn(...asked) };
    };
  const trajectory = (options: DrawOptions<C>) =>
    drawn({ ...options, model, sampler: sampler as Sampler<unknown> }, (_, condition) => engine(condition));
  return { sample: (options) => lastOf(trajectory(options)), trajectory, dispose: () => run.dispose() };
}
