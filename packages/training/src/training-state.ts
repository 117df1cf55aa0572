import type { Parameters } from '@logsnr/core';
import { clone, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { type Layout, layout } from './layout.js';
import type { Optimizer } from './optimizer.js';
import { assertShapes } from './shapes.js';
import { AVERAGE, WEIGHTS } from './step.js';

/** Everything that a run needs to go on where it stopped, under flat names. */
export interface TrainingState {
  /** Steps taken so far. */
  readonly step: number;
  readonly parameters: Parameters;
  /** The average of the parameters, where one is kept. */
  readonly ema?: Parameters;
  /** The optimizer's state: `slot.parameter`. */
  readonly optimizer?: Parameters;
}

/** Throws unless every parameter is float32; gives their layout. */
export function layoutOf(parameters: Parameters): Layout {
  for (const [name, { dtype }] of Object.entries(parameters))
    if (dtype !== 'float32') throw new RangeError(`the parameter "${name}" is ${dtype}; parameters are float32.`);
  return layout(Object.fromEntries(Object.entries(parameters).map(([name, p]) => [name, p.shape])));
}

/** A step's state of vectors from named tensors. The caller owns it. */
export function packState(from: TrainingState, parts: Layout, optimizer: Optimizer, averaged: boolean): Parameters {
  const { step, parameters, ema, optimizer: saved } = from;
  if (step > 0 && !saved)
    throw new RangeError(
      `the state of step ${step} has no optimizer state to go on from; to start anew from its weights, enter them as \`parameters\`.`,
    );
  if (step > 0 && averaged && !ema)
    throw new RangeError(`the state of step ${step} has no average; leave out emaDecay, or enter \`ema\` in it.`);
  return tidy(() => {
    const weights = parts.pack(parameters);
    const slots: Record<string, Tensor> = optimizer.init({ [WEIGHTS]: weights });
    if (saved) {
      const shapes = Object.keys(slots).flatMap((slot) =>
        Object.entries(parts.shapes).map(([name, shape]) => [nameIn(slot, name), shape] as const),
      );
      assertShapes(saved, Object.fromEntries(shapes), 'the tensors of the optimizer state');
      for (const slot of Object.keys(slots))
        slots[slot] = parts.pack(
          Object.fromEntries(Object.keys(parts.shapes).map((name) => [name, saved[nameIn(slot, name)] as Tensor])),
        );
    }
    return { [WEIGHTS]: weights, ...slots, ...(averaged ? { [AVERAGE]: ema ? parts.pack(ema) : clone(weights) } : {}) };
  });
}

/** Named tensors from a step's state of vectors. The caller owns them. */
export function unpackState(
  step: number,
  state: Parameters,
  parts: Layout,
): Required<Omit<TrainingState, 'ema'>> & TrainingState {
  const { [WEIGHTS]: weights, [AVERAGE]: average, ...slots } = state;
  const optimizer = Object.entries(slots).flatMap(([slot, vector]) =>
    Object.entries(parts.unpack(vector)).map(([name, value]) => [nameIn(slot, name), value] as const),
  );
  return {
    step,
    parameters: parts.unpack(weights as Tensor),
    ...(average ? { ema: parts.unpack(average) } : {}),
    optimizer: Object.fromEntries(optimizer),
  };
}

const nameIn = (slot: string, name: string): string => `${slot.slice(0, -WEIGHTS.length)}${name}`;
