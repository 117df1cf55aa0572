import { dispose, type Tensor } from '@tensorflow/tfjs-core';
import { nativeBackend } from '../native.js';
import { type Captured, capture, typeOf } from './capture.js';
import { type CompileOptions, feeds, newGraphs } from './graphs.js';
import type { Attr, Node } from './proto.js';
import { type Graph, savedModelRuntime } from './runtime.js';
import { fillSlots, signature, type Tree } from './tree.js';
import { load, type Variables, variables, write } from './variables.js';

/** The state of a step: tensors under flat names. */
export type State = Readonly<Record<string, Tensor>>;

/** A step as a pure function: it borrows state and inputs and returns the next state, of the same shapes, and a loss. */
export type PureStep<I, O> = (state: State, inputs: I) => { state: State; loss: O };

/** A compiled step and the state that it keeps on the device. */
export interface CompiledStep<I, O> {
  /** One step. Borrows the inputs; what it returns is the caller's. */
  run(inputs: I): O;
  /** A copy of the state, the caller's own. */
  state(): State;
  /** Replaces the state; borrows the new one, which must have the names and shapes of the first. */
  load(state: State): void;
  captures(): number;
  dispose(): void;
}

interface StepGraph {
  graph: Graph;
  stored: Variables;
  inputs: string[];
  outputs: string[];
  loss: Tree;
}

/**
 * A step of training as one TensorFlow graph, with its state in resource variables: nothing but the inputs and the loss
 * crosses between JavaScript and the library.
 *
 * `first` is borrowed. Inputs of another shape make another graph, and the state moves over to it.
 * @throws Error naming the operation, at the first run, where the step cannot be captured; see `compile`.
 */
export function compileStep<I, O>(
  step: PureStep<I, O>,
  first: State,
  options: CompileOptions = {},
): CompiledStep<I, O> {
  const names = Object.keys(first);
  const shapes = signature(first);
  const graphs = newGraphs<StepGraph>(options);
  const { runtime = savedModelRuntime } = options;
  // The state is either here, before the first run, or in the variables of the graph that ran last.
  let loose: State | undefined = copies(first);
  let current: { signature: string; graph: Graph; stored: Variables } | undefined;

  const read = (): State => {
    if (loose) return copies(loose);
    if (!current) throw new Error('this compiled step has been disposed.');
    const values = current.graph.run(
      [],
      names.map((_, i) => `now${i}:0`),
    );
    return Object.fromEntries(names.map((name, i) => [name, values[i] as Tensor]));
  };
  const inOrder = (state: State) => names.map((name) => state[name] as Tensor);
  const make = (state: State, inputs: I): StepGraph => {
    const result = (state: State, data: I) => checked(step(state, data), names, shapes);
    const captured = capture(result, [state, inputs], options);
    const outputs = captured.outputs.slice(0, -names.length);
    const { stored, nodes } = withState(captured, state);
    return {
      graph: load(captured, runtime, nodes),
      stored,
      inputs: captured.inputs.slice(names.length),
      outputs: outputs.map((_, i) => `out${i}:0`),
      loss: (captured.result as [Tree, Tree])[0],
    };
  };
  return {
    run(inputs) {
      const wanted = signature(inputs);
      const moved = wanted === current?.signature ? undefined : read();
      try {
        const { graph, stored, inputs: places, outputs, loss } = graphs.get(wanted, () => make(moved as State, inputs));
        if (moved) {
          write(graph, stored, inOrder(moved));
          dispose((loose ?? {}) as never);
          [current, loose] = [{ signature: wanted, graph, stored }, undefined];
        }
        return fillSlots(loss, graph.run(feeds(places, inputs), outputs)) as O;
      } finally {
        dispose((moved ?? {}) as never);
      }
    },
    state: read,
    load(state) {
      const given = signature(Object.fromEntries(names.map((name) => [name, state[name]])));
      if (given !== shapes)
        throw new RangeError(`load: the state is ${given}; it must be like the first one, ${shapes}.`);
      if (current) write(current.graph, current.stored, inOrder(state));
      else {
        dispose((loose ?? {}) as never);
        loose = copies(state);
      }
    },
    captures: () => graphs.captures,
    dispose() {
      dispose((loose ?? {}) as never);
      graphs.dispose();
      [current, loose] = [undefined, undefined];
    },
  };
}

const copies = (state: State): State =>
  Object.fromEntries(Object.entries(state).map(([name, value]) => [name, value.clone()]));

/** The loss and the state's tensors in their order, checked against the first state. */
function checked<O>(
  { state, loss }: { state: State; loss: O },
  names: readonly string[],
  shapes: string,
): [O, Tensor[]] {
  const next = signature(Object.fromEntries(names.map((name) => [name, state[name]])));
  if (next !== shapes || Object.keys(state).length !== names.length)
    throw new RangeError(
      `compileStep: the step returned the state ${signature(state)}; it must be like the first, ${shapes}.`,
    );
  return [loss, names.map((name) => state[name] as Tensor)];
}

/**
 * The captured graph with its state in variables: the state's placeholders become reads, the next state is assigned, and
 * each output waits for all assignments.
 */
function withState(captured: Captured, state: State): { stored: Variables; nodes: Node[] } {
  const { recording, inputs, outputs } = captured;
  const backend = nativeBackend();
  const values = Object.values(state);
  const stored = variables(
    'state',
    values.map((value) => ({ dtype: typeOf(backend, value), shape: value.shape })),
  );
  const nameOf = (place: string) => place.slice(0, place.indexOf(':'));
  const byName = new Map(recording.nodes.map((node) => [node.name, node]));
  const nodes = [...stored.nodes];
  values.forEach((value, i) => {
    const dtype = { type: typeOf(backend, value) };
    const handle = stored.handles[i] as string;
    const read = byName.get(nameOf(inputs[i] as string)) as Node;
    Object.assign(read, { op: 'ReadVariableOp', input: [handle], attr: { dtype } });
    const next = outputs[outputs.length - values.length + i] as string;
    nodes.push({ name: `now${i}`, op: 'ReadVariableOp', input: [handle], attr: { dtype } });
    nodes.push({ name: `assign${i}`, op: 'AssignVariableOp', input: [handle, next, `^${read.name}`], attr: { dtype } });
  });
  const assigned = values.map((_, i) => `^assign${i}`);
  outputs.slice(0, -values.length).forEach((place, i) => {
    const { T } = (byName.get(nameOf(place)) as Node).attr;
    nodes.push({ name: `out${i}`, op: 'Identity', input: [place, ...assigned], attr: { T: T as Attr } });
  });
  return { stored, nodes };
}
