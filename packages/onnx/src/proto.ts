import protobuf from 'protobufjs/light.js';

const many = (type: string, id: number) => ({ rule: 'repeated', type, id });
const one = (type: string, id: number) => ({ type, id });

// The part of ONNX's protocol buffers (onnx/onnx.proto) that a graph needs.
const root = protobuf.Root.fromJSON({
  nested: {
    Dimension: { fields: { dimValue: one('int64', 1), dimParam: one('string', 2) } },
    Shape: { fields: { dim: many('Dimension', 1) } },
    TensorType: { fields: { elemType: one('int32', 1), shape: one('Shape', 2) } },
    Type: { fields: { tensorType: one('TensorType', 1) } },
    ValueInfo: { fields: { name: one('string', 1), type: one('Type', 2) } },
    Tensor: {
      fields: { dims: many('int64', 1), dataType: one('int32', 2), name: one('string', 8), rawData: one('bytes', 9) },
    },
    Attribute: {
      fields: {
        name: one('string', 1),
        f: one('float', 2),
        i: one('int64', 3),
        s: one('bytes', 4),
        ints: many('int64', 8),
        type: one('int32', 20),
      },
    },
    Node: {
      fields: {
        input: many('string', 1),
        output: many('string', 2),
        opType: one('string', 4),
        attribute: many('Attribute', 5),
      },
    },
    Graph: {
      fields: {
        node: many('Node', 1),
        name: one('string', 2),
        initializer: many('Tensor', 5),
        input: many('ValueInfo', 11),
        output: many('ValueInfo', 12),
      },
    },
    OperatorSet: { fields: { domain: one('string', 1), version: one('int64', 2) } },
    Model: {
      fields: {
        irVersion: one('int64', 1),
        producerName: one('string', 2),
        graph: one('Graph', 7),
        opsetImport: many('OperatorSet', 8),
      },
    },
  },
});

/** Version 18 of ONNX's operators, which goes with version 8 of its files. */
const [OPERATORS, FILES] = [18, 8];

/** `TensorProto.DataType`. */
export const DATA_TYPES = { float32: 1, int32: 6, int64: 7, bool: 9 } as const;
export type DataType = keyof typeof DATA_TYPES;

/** Of a node: a float is marked, as all others are whole. */
export type Attributes = Readonly<Record<string, number | string | readonly number[] | { readonly float: number }>>;

export interface OnnxNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Attributes;
}

export interface Constant {
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly number[];
  readonly bytes: Uint8Array;
}

/** An input or an output. A size that is null is the batch's. */
export interface Port {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly (number | null)[];
}

export interface OnnxGraph {
  readonly nodes: readonly OnnxNode[];
  readonly constants: readonly Constant[];
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
}

/** The bytes of an ONNX file. */
export function encodeOnnx({ nodes, constants, inputs, outputs }: OnnxGraph): Uint8Array {
  const model = root.lookupType('Model');
  const graph = {
    name: 'logsnr',
    node: nodes.map(({ op, inputs, outputs, attributes }) => ({
      ...{ opType: op, input: inputs, output: outputs },
      attribute: Object.entries(attributes).map(([name, value]) => ({ name, ...attributeOf(value) })),
    })),
    initializer: constants.map(({ name, type, dims, bytes }) => ({
      ...{ name, dims, dataType: DATA_TYPES[type], rawData: bytes },
    })),
    input: inputs.map(portOf),
    output: outputs.map(portOf),
  };
  const opsetImport = [{ domain: '', version: OPERATORS }];
  return model.encode(model.create({ irVersion: FILES, producerName: 'logsnr', graph, opsetImport })).finish();
}

const portOf = ({ name, type, shape }: Port) => {
  const dim = shape.map((size) => (size === null ? { dimParam: 'batch' } : { dimValue: size }));
  return { name, type: { tensorType: { elemType: DATA_TYPES[type], shape: { dim } } } };
};

function attributeOf(value: Attributes[string]) {
  if (typeof value === 'number') return { type: 2, i: value };
  if (typeof value === 'string') return { type: 3, s: new TextEncoder().encode(value) };
  return 'float' in value ? { type: 1, f: value.float } : { type: 7, ints: value };
}
