import { flatten, free, type Key, scoped } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import { clone, scalar, type Tensor, zerosLike } from '@tensorflow/tfjs-core';
import { type Layout, layout } from './layout.js';
import type { Optimizer, Slots } from './optimizer.js';
import { assertShapes } from './shapes.js';
import type { StepState } from './step.js';

/** Everything that a run needs to go on where it stopped. */
export interface TrainingState {
  /** Steps taken so far, skipped ones included: the position in the data. */
  readonly step: number;
  readonly parameters: Parameters;
  /** The average of the parameters, where one is kept. */
  readonly ema?: Parameters;
  /** Further averages by name. */
  readonly averages?: Readonly<Record<string, Parameters>>;
  /** The optimizer's state: under each slot a tensor for each parameter. */
  readonly optimizer?: Parameters;
  /** The loss of every step so far. */
  readonly losses?: readonly number[];
  /** The steps (from 1) whose loss or gradient was not finite, and which changed nothing. */
  readonly skipped?: readonly number[];
  /** Seconds that the run has taken so far. */
  readonly seconds?: number;
  /** The key of everything random in the run. */
  readonly key?: Key;
}

/** Disposes of the tensors of a state. */
export function disposeState({ parameters, ema, averages, optimizer }: TrainingState): void {
  free([parameters, ema, averages, optimizer]);
}

/** Throws unless every parameter is float32; gives their layout in the optimizer's groups. */
export function layoutOf(parameters: Parameters, { groups }: Pick<Optimizer, 'groups'>): Layout {
  const flat = flatten<Tensor>(parameters);
  for (const [path, { dtype }] of Object.entries(flat))
    if (dtype !== 'float32') throw new RangeError(`the parameter "${path}" is ${dtype}; parameters are float32.`);
  return layout(Object.fromEntries(Object.entries(flat).map(([path, p]) => [path, p.shape])), (path, shape) => {
    const found = groups.findIndex(({ match }) => match(path, shape));
    return found < 0 ? groups.length : found;
  });
}

/** What a step's state is made of. */
export interface Makeup {
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  /** The averages' names in a step's state; {@link EMA} is the first one. */
  readonly averages: readonly string[];
  readonly accumulate: number;
}

/** The name of a state's `ema` among a step's averages. Others have no space in their names. */
export const EMA = 'the ema';

/** A step's state of vectors from named tensors. The caller owns it. */
export function packState(from: TrainingState, { layout, optimizer, averages, accumulate }: Makeup): StepState {
  const { step, parameters, optimizer: saved } = from;
  if (step > 0 && !saved)
    throw new RangeError(
      `the state of step ${step} has no optimizer state to go on from; to start anew from its weights, enter them as \`parameters\`.`,
    );
  return scoped(() => {
    const weights = layout.pack(parameters);
    const fresh = optimizer.init(weights);
    const slots = saved ? packSlots(saved, Object.keys(fresh), layout) : fresh;
    const averaged = averages.map((name) => {
      const own = name === EMA ? from.ema : from.averages?.[name];
      if (!own && step > 0)
        throw new RangeError(
          name === EMA
            ? `the state of step ${step} has no average; leave out emaDecay and ema, or enter \`ema\` in it.`
            : `the state of step ${step} has no average "${name}"; an average is kept from the first step on.`,
        );
      return [name, own ? layout.pack(own) : weights.map((vector) => clone(vector))];
    });
    const taken = weights.filter((_, i) => !optimizer.groups[layout.groups[i] as number]?.frozen);
    const gathered =
      accumulate > 1 ? ([scalar(0), ...taken.map((vector) => zerosLike(vector))] as const) : ([] as const);
    return { weights, optimizer: slots, averages: Object.fromEntries(averaged), gathered };
  });
}

/** The slots of an optimizer's saved state as vectors. @throws RangeError where they are not those of the parameters. */
function packSlots(saved: Parameters, slots: readonly string[], { shapes, pack }: Layout): Slots {
  const named = slots.flatMap((slot) => Object.entries(shapes).map(([path, shape]) => [`${slot}.${path}`, shape]));
  assertShapes(flatten<Tensor>(saved), Object.fromEntries(named), 'the tensors of the optimizer state');
  return Object.fromEntries(slots.map((slot) => [slot, pack(saved[slot] as Parameters)]));
}

/** Named tensors from a step's state of vectors. The caller owns them. */
export function unpackState(
  { weights, optimizer, averages }: StepState,
  { unpack }: Layout,
): Pick<TrainingState, 'ema' | 'averages'> & { parameters: Parameters; optimizer: Parameters } {
  const { [EMA]: ema, ...further } = averages;
  const each = (vectors: Readonly<Record<string, readonly Tensor[]>>): Record<string, Parameters> =>
    Object.fromEntries(Object.entries(vectors).map(([name, own]) => [name, unpack(own)]));
  return {
    parameters: unpack(weights),
    ...(ema ? { ema: unpack(ema) } : {}),
    ...(Object.keys(further).length > 0 ? { averages: each(further) } : {}),
    optimizer: each(optimizer),
  };
}
