import type { Key, Parameters } from '@logsnr/core';
import { clone, dispose, scalar, type Tensor, type TensorContainer, tidy, zerosLike } from '@tensorflow/tfjs-core';
import { type Layout, layout } from './layout.js';
import type { Optimizer } from './optimizer.js';
import { assertShapes } from './shapes.js';
import { AVERAGE, GATHERED, isOwn, WEIGHTS } from './step.js';

/** Everything that a run needs to go on where it stopped, under flat names. */
export interface TrainingState {
  /** Steps taken so far, skipped ones included: the position in the data. */
  readonly step: number;
  readonly parameters: Parameters;
  /** The average of the parameters, where one is kept. */
  readonly ema?: Parameters;
  /** Further averages by name. */
  readonly averages?: Readonly<Record<string, Parameters>>;
  /** The optimizer's state: `slot.parameter`. */
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
  dispose([parameters, ema ?? {}, averages ?? {}, optimizer ?? {}] as unknown as TensorContainer);
}

/** Throws unless every parameter is float32; gives their layout. */
export function layoutOf(parameters: Parameters): Layout {
  for (const [name, { dtype }] of Object.entries(parameters))
    if (dtype !== 'float32') throw new RangeError(`the parameter "${name}" is ${dtype}; parameters are float32.`);
  return layout(Object.fromEntries(Object.entries(parameters).map(([name, p]) => [name, p.shape])));
}

/** What a step's state is made of. */
export interface Makeup {
  readonly layout: Layout;
  readonly optimizer: Optimizer;
  /** The averages' names in a step's state. */
  readonly averages: readonly string[];
  readonly accumulate: number;
}

/** A step's state of vectors from named tensors. The caller owns it. */
export function packState(from: TrainingState, { layout, optimizer, averages, accumulate }: Makeup): Parameters {
  const { step, parameters, optimizer: saved } = from;
  if (step > 0 && !saved)
    throw new RangeError(
      `the state of step ${step} has no optimizer state to go on from; to start anew from its weights, enter them as \`parameters\`.`,
    );
  return tidy(() => {
    const weights = layout.pack(parameters);
    const slots: Record<string, Tensor> = optimizer.init({ [WEIGHTS]: weights });
    if (saved) {
      const shapes = Object.keys(slots).flatMap((slot) =>
        Object.entries(layout.shapes).map(([name, shape]) => [nameIn(slot, name), shape] as const),
      );
      assertShapes(saved, Object.fromEntries(shapes), 'the tensors of the optimizer state');
      for (const slot of Object.keys(slots))
        slots[slot] = layout.pack(
          Object.fromEntries(Object.keys(layout.shapes).map((name) => [name, saved[nameIn(slot, name)] as Tensor])),
        );
    }
    const averaged = averages.map((name): [string, Tensor] => {
      const own = name === AVERAGE ? from.ema : from.averages?.[name.slice(AVERAGE.length + 1)];
      if (!own && step > 0)
        throw new RangeError(
          name === AVERAGE
            ? `the state of step ${step} has no average; leave out emaDecay and ema, or enter \`ema\` in it.`
            : `the state of step ${step} has no average "${name.slice(AVERAGE.length + 1)}"; an average is kept from the first step on.`,
        );
      return [name, own ? layout.pack(own) : clone(weights)];
    });
    const gathered = accumulate > 1 ? { [GATHERED.gradient]: zerosLike(weights), [GATHERED.loss]: scalar(0) } : {};
    return { [WEIGHTS]: weights, ...slots, ...Object.fromEntries(averaged), ...gathered };
  });
}

/** Named tensors from a step's state of vectors. The caller owns them. */
export function unpackState(
  state: Parameters,
  parts: Layout,
): Pick<TrainingState, 'ema' | 'averages'> & { parameters: Parameters; optimizer: Parameters } {
  const { [WEIGHTS]: weights, [AVERAGE]: average } = state;
  const further = Object.keys(state).filter((name) => name.startsWith(`${AVERAGE}.`));
  const optimizer = Object.keys(state)
    .filter((name) => !isOwn(name))
    .flatMap((slot) =>
      Object.entries(parts.unpack(state[slot] as Tensor)).map(([name, value]) => [nameIn(slot, name), value] as const),
    );
  return {
    parameters: parts.unpack(weights as Tensor),
    ...(average ? { ema: parts.unpack(average) } : {}),
    ...(further.length > 0
      ? {
          averages: Object.fromEntries(
            further.map((name) => [name.slice(AVERAGE.length + 1), parts.unpack(state[name] as Tensor)]),
          ),
        }
      : {}),
    optimizer: Object.fromEntries(optimizer),
  };
}

const nameIn = (slot: string, name: string): string => `${slot.slice(0, -WEIGHTS.length)}${name}`;
