import { eager, mapTensors, type Session, type SessionStep, tensorsOf } from '@logsnr/core';
import { dispose, engine, getBackend, type Tensor } from '@tensorflow/tfjs-core';
import { nativeBackend } from '../native.js';
import { type Captured, capture, typeOf } from './capture.js';
import { type CompileOptions, feeds, newGraphs } from './graphs.js';
import { type Graph, savedModels } from './loader.js';
import type { Attr, Node } from './proto.js';
import { recordingNow } from './record.js';
import { nameOf } from './recording.js';
import { fillSlots, signature, type Tree } from './tree.js';
import { load, type Variables, variables, write } from './variables.js';

/** A session that also says how many graphs it has captured. */
export interface GraphSession<S, I, R> extends Session<S, I, R> {
  captures(): number;
}

interface StepGraph extends Pick<Captured, 'variables'> {
  graph: Graph;
  stored: Variables;
  inputs: string[];
  outputs: string[];
  result: Tree;
}

/**
 * A step as one TensorFlow graph, with its state in resource variables: nothing but the inputs and the result crosses between
 * JavaScript and the library. On another backend it runs operation by operation.
 *
 * `first` is borrowed: a tree of tensors. Inputs of another shape make another graph, and the state moves over to it.
 * @throws Error naming the operation, at the first run, where the step cannot be captured; see `compile`.
 */
export function session<S, I, R>(
  step: SessionStep<S, I, R>,
  first: S,
  options: CompileOptions = {},
): GraphSession<S, I, R> {
  if (typeof step !== 'function') throw new TypeError(`session takes a step, a function, not ${step}.`);
  checkOutside();
  if (getBackend() !== 'tensorflow') return { ...eager.session(step, first), captures: () => 0 };
  const shapes = signature(first);
  const count = tensorsOf(first).length;
  if (count === 0)
    throw new RangeError('session: the first state holds no tensor; a step without a state is for compile.');
  const graphs = newGraphs<StepGraph>(options);
  const { loader = savedModels } = options;
  const copies = (state: S): S => mapTensors(state, (tensor) => tensor.clone());
  /** The structure of the state with tensors in their order. */
  const structured = (tensors: readonly Tensor[]): S => {
    let next = 0;
    return mapTensors(shape, () => tensors[next++]);
  };
  // The state is either here, before the first run, or in the variables of the graph that ran last.
  let loose: S | undefined = copies(first);
  const shape = mapTensors(first, (tensor) => tensor);
  let current: { signature: string; graph: Graph; stored: Variables } | undefined;

  const read = (): S => {
    checkOutside();
    if (loose) return copies(loose);
    if (!current) throw new Error('this session has been disposed.');
    const places = Array.from({ length: count }, (_, i) => `now${i}:0`);
    return structured(current.graph.run([], places));
  };
  const make = (state: S, inputs: I): StepGraph => {
    const captured = capture((state: S, inputs: I) => checked(step(state, inputs), shapes), [state, inputs], options);
    const outputs = captured.outputs.slice(0, -count);
    const { stored, nodes } = withState(captured, tensorsOf(state));
    return {
      graph: load(captured, loader, nodes),
      stored,
      variables: captured.variables,
      inputs: captured.inputs.slice(count),
      outputs: outputs.map((_, i) => `out${i}:0`),
      result: (captured.result as [Tree, Tree])[0],
    };
  };
  return {
    run(inputs) {
      checkOutside();
      const wanted = signature(inputs);
      const moved = wanted === current?.signature && graphs.has(wanted) ? undefined : read();
      try {
        const { graph, stored, inputs: places, outputs, result } = graphs.get(wanted, () => make(moved as S, inputs));
        if (moved) {
          write(graph, stored, tensorsOf(moved));
          dispose((loose ?? {}) as never);
          [current, loose] = [{ signature: wanted, graph, stored }, undefined];
        }
        const tensors = graph.run(feeds(places, inputs), outputs.length > 0 ? outputs : [DONE]);
        if (outputs.length === 0) dispose(tensors);
        return fillSlots(result, tensors) as R;
      } finally {
        dispose((moved ?? {}) as never);
      }
    },
    read,
    write(state) {
      checkOutside();
      const given = signature(state);
      if (given !== shapes)
        throw new RangeError(`write: the state is ${given}; it must be like the first one, ${shapes}.`);
      if (current) write(current.graph, current.stored, tensorsOf(state));
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

/** A place to fetch for the assignments alone, where a step's result has no tensor. */
const DONE = 'done:0';

function checkOutside(): void {
  if (recordingNow() || engine().state.gradientDepth > 0)
    throw new Error(
      'session: it is used inside a compiled function or a gradient, which see neither its operations nor its state. Use it outside, or call its step with the state as an argument.',
    );
}

/** The result and the next state's tensors in their order, checked against the first state. */
function checked<S, R>({ state, result }: { state: S; result: R }, shapes: string): [R, Tensor[]] {
  if (signature(state) !== shapes)
    throw new RangeError(`the step returned the state ${signature(state)}; it must be like the first, ${shapes}.`);
  return [result, tensorsOf(state)];
}

/**
 * The captured graph with its state in variables: the state's placeholders become reads, the next state is assigned
 * once all of it and all results are there, so that a step that fails changes nothing, and each output waits for all
 * assignments.
 */
function withState(captured: Captured, values: readonly Tensor[]): { stored: Variables; nodes: Node[] } {
  const { recording, inputs, outputs } = captured;
  const backend = nativeBackend();
  const stored = variables(
    'state',
    values.map((value) => ({ dtype: typeOf(backend, value), shape: value.shape })),
  );
  const byName = new Map(recording.nodes.map((node) => [node.name, node]));
  const ready: Node = { name: 'ready', op: 'NoOp', input: outputs.map((place) => `^${nameOf(place)}`), attr: {} };
  const nodes = [...stored.nodes, ready];
  values.forEach((value, i) => {
    const dtype = { type: typeOf(backend, value) };
    const handle = stored.handles[i] as string;
    const read = byName.get(nameOf(inputs[i] as string)) as Node;
    Object.assign(read, { op: 'ReadVariableOp', input: [handle], attr: { dtype } });
    const next = outputs[outputs.length - values.length + i] as string;
    nodes.push({ name: `now${i}`, op: 'ReadVariableOp', input: [handle], attr: { dtype } });
    nodes.push({
      name: `assign${i}`,
      op: 'AssignVariableOp',
      input: [handle, next, `^${ready.name}`],
      attr: { dtype },
    });
  });
  const assigned = values.map((_, i) => `^assign${i}`);
  const [handle] = stored.handles as [string];
  const dtype = { type: typeOf(backend, values[0] as Tensor) };
  nodes.push({ name: 'done', op: 'ReadVariableOp', input: [handle, ...assigned], attr: { dtype } });
  outputs.slice(0, -values.length).forEach((place, i) => {
    const { T } = (byName.get(nameOf(place)) as Node).attr;
    nodes.push({ name: `out${i}`, op: 'Identity', input: [place, ...assigned], attr: { T: T as Attr } });
  });
  return { stored, nodes };
}
