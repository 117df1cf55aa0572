import type { Compile, EpsModel } from '@logsnr/core';
import { type Tensor, tensor1d } from '@tensorflow/tfjs-core';
import { type Program, type ProgramInputs, recordStep, runProgram, stateTensors } from './program.js';
import { type SampleOptions, sample, trajectory } from './sample.js';
import type { Sampler } from './sampler.js';
import type { Step } from './walk.js';

/** The options of `sample` without the model and the sampler. */
export type DrawOptions<C> = Omit<SampleOptions<C, unknown>, 'model' | 'sampler'>;

/** A model and a sampler in compiled graphs, kept until `dispose`. */
export interface CompiledSampler<C> {
  sample(options: DrawOptions<C>): Tensor;
  trajectory(options: DrawOptions<C>): Generator<Step, void>;
  dispose(): void;
}

/**
 * Sampling with each step in one graph: the model, guidance and the sampler's arithmetic. λ and the coefficients enter
 * as numbers, so one graph serves all steps that do the same (commonly all but the last). The samples are those of
 * `sample` to float32 rounding.
 * @throws TypeError at the first step of a sampler whose step does more than `combine`, `eps` and `noise`.
 */
export function compileSampler<C, S>(
  compile: Compile,
  { model, sampler }: { model: EpsModel<C>; sampler: Sampler<S> },
): CompiledSampler<C> {
  const splits = model.split !== undefined;
  // As text the program is one constant to compare, not a structure to walk at every step.
  const run = compile((program: string, inputs: ProgramInputs<C>) =>
    runProgram(model, JSON.parse(program) as Program, inputs),
  );
  const stepped = (condition: C): Sampler<unknown> => ({
    ...(sampler as Sampler<unknown>),
    step(_eps, z, from, to, state, noise) {
      const { program, numbers, draws, stateOf } = recordStep(sampler as Sampler<unknown>, from, to, state, splits);
      // The walk tidies up after a step.
      const noises = Array.from({ length: draws }, noise);
      const registers = [z, ...stateTensors(state)];
      const inputs = { registers, noises, numbers: tensor1d(Float32Array.from(numbers), 'float32'), condition };
      const [next, ...tensors] = run(JSON.stringify(program), inputs);
      return { z: next, state: stateOf(tensors) } as never;
    },
  });
  const whole = (options: DrawOptions<C>) => ({ ...options, model, sampler: stepped(options.condition) });
  return {
    sample: (options) => sample(whole(options)),
    trajectory: (options) => trajectory(whole(options)),
    dispose: () => run.dispose?.(),
  };
}
