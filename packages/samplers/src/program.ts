import {
  type Combinable,
  type Estimate,
  type Gives,
  type Memory,
  type Model,
  mapLeaves,
  mapTensors,
  scoped,
} from '@logsnr/core';
import { add, broadcastTo, exp, mul, reshape, slice, Tensor, type Tensor1D } from '@tensorflow/tfjs-core';
import type { Place, Predict, Sampler } from './sampler.js';

/**
 * What one step does, register by register. Each instruction writes the next one; `predict` writes x̂ and ε̂, then the ε̂ to
 * renoise with and the variance where the model gives them. Plain data.
 */
export type Instruction =
  | { combine: readonly number[] }
  | { scaleByExp: readonly [value: number, exponent: number] }
  | { predict: number; model: number }
  | { noise: number };

/** A step as data. Register 0 is z, then come the tensors of the state, then what the instructions write. */
export interface Program {
  instructions: readonly Instruction[];
  /** The registers of the new z and of the new state's tensors. */
  results: readonly number[];
}

/** One recorded step: its program, the coefficients and λ that it uses in that order, and its new state. */
export interface RecordedStep {
  program: Program;
  numbers: readonly number[];
  draws: number;
  /** The new state from its tensors. */
  stateOf(tensors: readonly Tensor[]): unknown;
}

class Register implements Combinable {
  constructor(
    readonly number: number,
    readonly combine: Combinable['combine'],
    readonly scaleByExp: Combinable['scaleByExp'],
  ) {}
}

/**
 * Runs a step on registers instead of tensors. What it does depends on λ only through numbers, so steps that do the same
 * with other numbers have the same program.
 * @param model what the model gives, and the number of its variant at a λ.
 * @throws TypeError when the step does anything but `combine`, `scaleByExp`, `predict` and `noise`.
 */
export function recordStep(
  sampler: Sampler<unknown>,
  { from, to, index, points }: Omit<Place, 'z' | 'noise'>,
  state: unknown,
  model: { gives: Gives; variantOf(lambda: number): number },
): RecordedStep {
  const instructions: Instruction[] = [];
  const numbers: number[] = [];
  let [registers, draws] = [0, 0];
  const next = (instruction?: Instruction): Register => {
    if (instruction) instructions.push(instruction);
    const own = registers++;
    return new Register(
      own,
      (terms) => {
        numbers.push(...terms.map(([coefficient]) => coefficient));
        return next({ combine: terms.map(([, value]) => (value as Register).number) });
      },
      (exponent, a, b) => {
        numbers.push(a, b);
        return next({ scaleByExp: [own, (exponent as Register).number] });
      },
    );
  };
  const z = next();
  const before = mapLeaves(state, (leaf) => (leaf instanceof Tensor ? next() : leaf));
  const predict: Predict<Register> = (z, lambda): Estimate<Register> => {
    numbers.push(lambda);
    const { renoise, variance } = model.gives;
    const x = next({ predict: z.number, model: model.variantOf(lambda) });
    return { x, eps: next(), renoise: renoise ? next() : null, variance: variance ? next() : null };
  };
  let after: { z: Register; state: unknown };
  try {
    const context = { predict, z, from, to, index, points, noise: () => next({ noise: draws++ }) };
    after = (sampler as unknown as Sampler<unknown, Register>).step(context, before);
  } catch (error) {
    throw new TypeError(
      `the step of the sampler "${sampler.name}" cannot be compiled: it must be written with \`combine\`, \`scaleByExp\`, \`predict\` and \`noise\` alone (${(error as Error).message}). Sample with it operation by operation: sample({ … }).`,
    );
  }
  const leaves: number[] = [];
  const shape = mapLeaves(after.state, (leaf) =>
    leaf instanceof Register ? new Leaf(leaves.push(leaf.number) - 1) : leaf,
  );
  return {
    program: { instructions, results: [after.z.number, ...leaves] },
    numbers,
    draws,
    stateOf: (tensors) => mapLeaves(shape, (leaf) => (leaf instanceof Leaf ? tensors[leaf.number] : leaf)),
  };
}

class Leaf {
  constructor(readonly number: number) {}
}

/** The tensors that a program runs on. `numbers` has shape [k]. */
export interface ProgramInputs<C> {
  registers: Tensor[];
  noises: Tensor[];
  numbers: Tensor1D;
  condition: C;
  memory: Memory;
}

/** Runs a program: a pure function of tensors, which `Runtime.jit` can take as one graph for all steps of a grid. */
export function runProgram<C>(
  models: readonly Model<C>[],
  program: Program,
  inputs: ProgramInputs<C>,
): { results: Tensor[]; memory: Memory } {
  return scoped(() => {
    const registers = [...inputs.registers];
    let { memory } = inputs;
    let used = 0;
    const number = () => reshape(slice(inputs.numbers, [used++], [1]), []);
    const read = (i: number) => registers[i] as Tensor;
    for (const instruction of program.instructions) {
      if ('noise' in instruction) registers.push(inputs.noises[instruction.noise] as Tensor);
      else if ('predict' in instruction) {
        const z = read(instruction.predict);
        const lambda = broadcastTo(number(), [z.shape[0] as number]) as Tensor1D;
        const model = models[instruction.model] as Model<C>;
        const predicted = model.predict(z, lambda, inputs.condition, memory);
        memory = predicted.memory;
        const { x, eps, renoise, variance } = predicted;
        registers.push(x, eps, ...(renoise ? [renoise] : []), ...(variance ? [variance] : []));
      } else if ('scaleByExp' in instruction) {
        const [value, exponent] = instruction.scaleByExp;
        const [a, b] = [number(), number()];
        registers.push(mul(read(value), exp(add(mul(read(exponent), b), a))));
      } else
        registers.push(instruction.combine.map((i) => mul(read(i), number())).reduce((sum, term) => add(sum, term)));
    }
    const own = (memory: Memory) => mapTensors(memory, (tensor) => tensor.clone());
    return { results: program.results.map((i) => read(i).clone()), memory: own(memory) };
  });
}
