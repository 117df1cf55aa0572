import { engine, type TensorInfo } from '@tensorflow/tfjs-core';
import type { Attributes, Constant, DataType } from './proto.js';

/** Whole numbers that a node takes as an input: sizes, axes, places. */
export interface Whole {
  readonly whole: readonly number[];
}

/** A node while it is recorded. */
export interface Recorded {
  readonly op: string;
  readonly inputs: readonly (string | Whole)[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

/** The values of a tensor as ONNX keeps them. */
type Values = Float32Array | Int32Array | Uint8Array;

/** Records ONNX's nodes. A value is known by its name; a tensor of TensorFlow.js stands for one by its data and its shape. */
export class Graph {
  readonly nodes: Recorded[] = [];
  readonly constants: Constant[] = [];
  /** Tensors that share their data, as a reshaped one does, are one value here, of the shape that it was made in. */
  readonly #values = new Map<object, { readonly name: string; readonly shape: readonly number[] }>();
  readonly #reshaped = new Map<string, string>();
  #names = 0;

  #name(): string {
    return `/${this.#names++}`;
  }

  /** A node with one output. */
  node(op: string, inputs: readonly (string | Whole)[], attributes: Attributes = {}): string {
    return this.split(op, inputs, 1, attributes)[0] as string;
  }

  /** A node with several outputs. */
  split(op: string, inputs: readonly (string | Whole)[], count: number, attributes: Attributes = {}): string[] {
    const outputs = Array.from({ length: count }, () => this.#name());
    this.nodes.push({ op, inputs, outputs, attributes });
    return outputs;
  }

  /** A constant. Many equal values, as of zeros, are one value that is spread, so that they may depend on the batch. */
  constant(type: DataType, values: Values, shape: readonly number[]): string {
    const [first] = values;
    if (values.length > 1 && values.every((value) => value === first))
      return this.node('Expand', [this.constant(type, values.slice(0, 1), []), { whole: shape }]);
    const name = this.#name();
    const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength).slice();
    this.constants.push({ name, type, dims: shape, bytes });
    return name;
  }

  number(value: number, type: DataType = 'float32'): string {
    const array = type === 'float32' ? Float32Array : type === 'int32' ? Int32Array : Uint8Array;
    return this.constant(type, array.from([value]), []);
  }

  reshape(name: string, shape: readonly number[]): string {
    return this.node('Reshape', [name, { whole: shape }]);
  }

  /** `tensor` has this value. */
  define({ dataId, shape }: TensorInfo, name: string): void {
    this.#values.set(dataId, { name, shape: [...shape] });
  }

  /** `tensor` has the value of another, under its own shape. */
  alias(tensor: TensorInfo, of: TensorInfo): void {
    if (tensor.dataId !== of.dataId) this.define(tensor, this.valueOf({ ...of, shape: tensor.shape }));
  }

  /** The value of a tensor. One that was made elsewhere, such as a parameter, is a constant. */
  valueOf({ dataId, shape, dtype }: TensorInfo): string {
    const known = this.#values.get(dataId);
    if (!known) {
      const name = this.constant(typeOf(dtype), engine().readSync(dataId) as Values, shape);
      this.define({ dataId, shape, dtype }, name);
      return name;
    }
    if (`${known.shape}` === `${shape}`) return known.name;
    const key = `${known.name} ${shape}`;
    const reshaped = this.#reshaped.get(key) ?? this.reshape(known.name, shape);
    this.#reshaped.set(key, reshaped);
    return reshaped;
  }
}

export function typeOf(dtype: string): DataType {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new TypeError(`a tensor has the type ${dtype}; what is exported has float32, int32 and bool.`);
}
