import { scoped } from '@logsnr/core';
import { traceKernels } from '@logsnr/networks';
import type { Tensor, TensorInfo } from '@tensorflow/tfjs-core';
import { Graph, type Recorded, typeOf, type Whole } from './graph.js';
import { recordKernel } from './operators.js';
import { type Constant, encodeOnnx, type OnnxNode, type Port } from './proto.js';

/** What an input is. A size that is null is the batch's: the file takes any. */
export interface OnnxInputShape {
  readonly shape: readonly (number | null)[];
  /** `float32` unless given. */
  readonly dtype?: 'float32' | 'int32' | 'bool' | undefined;
}

/** Batches at which a function is recorded. What differs between the two is a linear function of the batch. */
const BATCHES = [2, 3] as const;

/**
 * A function of tensors as the bytes of an ONNX file (operators of version 18): a network, a guided model, a step of a sampler.
 *
 * `exportOnnx(({ z, lambda, labels }) => ({ eps: epsOf(guided)(z, lambda, labels) }), { z: { shape: [null, 28, 28, 1] }, … })`
 *
 * It is recorded on a backend of shapes alone, so no value of an input is known: a guidance weight is a number or a `WeightSchedule`,
 * else an input. Tensors that the function closes over, such as parameters, are read from their backend and become constants of the
 * file. Images stay NHWC. A kernel of this project's own is recorded as the operations that it is composed of.
 * @param fn pure, from tensors by name to tensors by name; called within a tidy, twice where a size is null.
 * @throws RangeError on an operation that has no form in ONNX, by its name, and where the batch changes more than shapes; TypeError where
 *   the function reads a value.
 */
export function exportOnnx<const N extends string>(
  fn: (inputs: { readonly [name in N]: Tensor }) => Readonly<Record<string, Tensor>>,
  inputs: { readonly [name in N]: OnnxInputShape },
): Uint8Array {
  const ports = Object.entries<OnnxInputShape>(inputs).map(
    ([name, { shape, dtype = 'float32' }]): Port => ({ name, type: dtype, shape }),
  );
  const wrong = ports.find(({ name }) => name === '' || name.startsWith('/'));
  if (wrong) throw new RangeError(`an input is named "${wrong.name}"; a name is not empty and begins with no "/".`);
  const first = recorded(fn as never, ports, BATCHES[0]);
  const second = ports.some(({ shape }) => shape.includes(null)) ? recorded(fn as never, ports, BATCHES[1]) : first;
  const outputs = outputsOf(first, second);
  return encodeOnnx({ ...used(joined(first, second, ports), outputs), inputs: ports, outputs });
}

interface Recording {
  readonly graph: Graph;
  readonly outputs: Readonly<Record<string, TensorInfo>>;
}

type Fn = (inputs: Readonly<Record<string, Tensor>>) => Readonly<Record<string, Tensor>>;

function recorded(fn: Fn, ports: readonly Port[], batch: number): Recording {
  const graph = new Graph();
  const outputs = traceKernels(
    {
      kernel: (call) => recordKernel(graph, call),
      values: (tensor, values) =>
        graph.define(tensor, graph.constant(typeOf(tensor.dtype), values as Float32Array, tensor.shape)),
    },
    (make) =>
      scoped(() => {
        const given = ports.map(({ name, type, shape }) => {
          const tensor = make({ shape: shape.map((size) => size ?? batch), dtype: type as 'float32' });
          graph.define(tensor, name);
          return [name, tensor] as const;
        });
        const found = Object.entries(fn(Object.fromEntries(given)));
        return Object.fromEntries(
          found.map(([name, tensor]) => {
            if (ports.some((port) => port.name === name) || name === '' || name.startsWith('/'))
              throw new RangeError(`an output is named "${name}"; it needs a name of its own, without a "/" in front.`);
            graph.nodes.push({ op: 'Identity', inputs: [graph.valueOf(tensor)], outputs: [name], attributes: {} });
            const { dataId, shape, dtype } = tensor;
            return [name, { dataId, shape, dtype }];
          }),
        );
      }),
  );
  return { graph, outputs };
}

const outputsOf = (first: Recording, second: Recording): Port[] =>
  Object.entries(first.outputs).map(([name, { shape, dtype }]) => {
    const other = second.outputs[name]?.shape ?? [];
    return { name, type: typeOf(dtype), shape: shape.map((size, axis) => (size === other[axis] ? size : null)) };
  });

interface Body {
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly Constant[];
}

/** What the outputs depend on. */
function used({ nodes, constants }: Body, outputs: readonly Port[]): Body {
  const names = new Set(outputs.map(({ name }) => name));
  const kept = nodes.toReversed().filter((node) => {
    const needed = node.outputs.some((name) => names.has(name));
    if (needed) for (const name of node.inputs) names.add(name);
    return needed;
  });
  return { nodes: kept.reverse(), constants: constants.filter(({ name }) => names.has(name)) };
}

/** One graph of two recordings: whole numbers that differ are computed from the batch. */
function joined({ graph }: Recording, { graph: other }: Recording, ports: readonly Port[]): Body {
  const bare = ({ op, outputs, attributes }: Recorded) => JSON.stringify([op, outputs, attributes]);
  const same =
    graph.nodes.length === other.nodes.length &&
    graph.nodes.every((node, i) => bare(node) === bare(other.nodes[i] as Recorded)) &&
    graph.constants.every(
      ({ name, bytes }, i) => name === other.constants[i]?.name && equal(bytes, other.constants[i]),
    );
  if (!same)
    throw new RangeError(
      'the function does more than other shapes for another batch; export it with sizes in the place of null.',
    );
  const [nodes, constants]: [OnnxNode[], Constant[]] = [[], [...graph.constants]];
  const known = new Map<string, string>();
  const whole = (values: readonly number[]): string => {
    const key = `/of ${values}`;
    if (!known.has(key)) {
      known.set(key, key);
      const bytes = new Uint8Array(BigInt64Array.from(values, BigInt).buffer);
      constants.push({ name: key, type: 'int64', dims: [values.length], bytes });
    }
    return key;
  };
  const batch = (): string => {
    const [port, axis] = ports
      .map(({ name, shape }) => [name, shape.indexOf(null)] as const)
      .find(([, axis]) => axis >= 0) as readonly [string, number];
    if (!known.has('/batch'))
      nodes.push({ op: 'Shape', inputs: [port], outputs: ['/batch'], attributes: { start: axis, end: axis + 1 } });
    known.set('/batch', '/batch');
    return '/batch';
  };
  const linear = (a: readonly number[], b: readonly number[]): string => {
    const key = `/of ${a} and ${b}`;
    if (known.has(key)) return key;
    const slopes = a.map((value, i) => ((b[i] as number) - value) / (BATCHES[1] - BATCHES[0]));
    const rests = a.map((value, i) => value - BATCHES[0] * (slopes[i] as number));
    nodes.push(
      { op: 'Mul', inputs: [batch(), whole(slopes)], outputs: [`${key} times`], attributes: {} },
      { op: 'Add', inputs: [`${key} times`, whole(rests)], outputs: [key], attributes: {} },
    );
    known.set(key, key);
    return key;
  };
  for (const [i, node] of graph.nodes.entries()) {
    const twin = other.nodes[i] as Recorded;
    const inputs = node.inputs.map((input, j) => {
      if (typeof input === 'string') return input;
      const there = (twin.inputs[j] as Whole).whole;
      return `${input.whole}` === `${there}` ? whole(input.whole) : linear(input.whole, there);
    });
    nodes.push({ ...node, inputs });
  }
  return { nodes, constants };
}

const equal = (bytes: Uint8Array, other: Constant | undefined): boolean =>
  other !== undefined && bytes.length === other.bytes.length && bytes.every((value, i) => value === other.bytes[i]);
