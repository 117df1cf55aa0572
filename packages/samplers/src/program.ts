import { type Combinable, type EpsModel, mapLeaves } from '@logsnr/core';
import { add, broadcastTo, mul, reshape, slice, Tensor, type Tensor1D, tidy } from '@tensorflow/tfjs-core';
import type { Eps, Sampler } from './sampler.js';

/** What one step does, register by register: each instruction writes the next one, `split` two. Plain data. */
export type Instruction = { combine: readonly number[] } | { eps: number } | { split: number } | { noise: number };

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
  ) {}
}

/**
 * Runs a step on registers instead of tensors. What it does depends on λ only through numbers, so steps that do the same
 * with other numbers have the same program. `splits` says that the model gives ε̂ in two parts.
 * @throws TypeError when the step does anything but `combine`, `eps` and `noise`.
 */
export function recordStep(
  sampler: Sampler<unknown>,
  from: number,
  to: number,
  state: unknown,
  splits = false,
): RecordedStep {
  const instructions: Instruction[] = [];
  const numbers: number[] = [];
  let [registers, draws] = [0, 0];
  const next = (instruction?: Instruction): Register => {
    if (instruction) instructions.push(instruction);
    return new Register(registers++, (terms) => {
      numbers.push(...terms.map(([coefficient]) => coefficient));
      return next({ combine: terms.map(([, value]) => (value as Register).number) });
    });
  };
  const z = next();
  const before = mapLeaves(state, (leaf) => (leaf instanceof Tensor ? next() : leaf));
  const symbolic = sampler as unknown as Sampler<unknown, Register>;
  const eps: Eps<Register> = (z, lambda) => {
    numbers.push(lambda);
    return next({ eps: z.number });
  };
  if (splits)
    eps.split = (z, lambda) => {
      numbers.push(lambda);
      return { denoise: next({ split: z.number }), renoise: next() };
    };
  let after: { z: Register; state: unknown };
  try {
    after = symbolic.step(eps, z, from, to, before, () => next({ noise: draws++ }));
  } catch (error) {
    throw new TypeError(
      `the step of the sampler "${sampler.name}" cannot be compiled: it must be written with \`combine\`, \`eps\` and \`noise\` alone (${(error as Error).message}). Compile the model instead: sample({ model: compile(model), … }).`,
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

/** The tensors of a state, in the order of their registers. */
export function stateTensors(state: unknown): Tensor[] {
  const tensors: Tensor[] = [];
  mapLeaves(state, (leaf) => {
    if (leaf instanceof Tensor) tensors.push(leaf);
  });
  return tensors;
}

/** The tensors that a program runs on. `numbers` has shape [k]. */
export interface ProgramInputs<C> {
  registers: Tensor[];
  noises: Tensor[];
  numbers: Tensor1D;
  condition: C;
}

/** Runs a program: a pure function of tensors, which `compile` can take as one graph for all steps of a grid. */
export function runProgram<C>(model: EpsModel<C>, program: Program, inputs: ProgramInputs<C>): Tensor[] {
  return tidy(() => {
    const registers = [...inputs.registers];
    let used = 0;
    const number = () => reshape(slice(inputs.numbers, [used++], [1]), []);
    const read = (i: number) => registers[i] as Tensor;
    const lambda = (z: Tensor) => broadcastTo(number(), [z.shape[0] as number]) as Tensor1D;
    for (const instruction of program.instructions) {
      if ('noise' in instruction) registers.push(inputs.noises[instruction.noise] as Tensor);
      else if ('eps' in instruction) {
        const z = read(instruction.eps);
        registers.push(model(z, lambda(z), inputs.condition));
      } else if ('split' in instruction) {
        const z = read(instruction.split);
        const parts = (model.split as NonNullable<typeof model.split>)(z, lambda(z), inputs.condition);
        registers.push(parts.denoise, parts.renoise);
      } else
        registers.push(instruction.combine.map((i) => mul(read(i), number())).reduce((sum, term) => add(sum, term)));
    }
    return program.results.map((i) => read(i).clone());
  });
}
