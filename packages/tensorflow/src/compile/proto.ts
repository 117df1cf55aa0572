import protobuf from 'protobufjs/light.js';

const map = (type: string, id: number) => ({ keyType: 'string', type, id });
const many = (type: string, id: number) => ({ rule: 'repeated', type, id });

// The part of TensorFlow's protocol buffers (tensorflow/core/framework and core/protobuf) that a graph of operations needs.
const root = protobuf.Root.fromJSON({
  nested: {
    Dim: { fields: { size: { type: 'int64', id: 1 } } },
    Shape: { fields: { dim: many('Dim', 2) } },
    Tensor: {
      fields: { dtype: { type: 'int32', id: 1 }, shape: { type: 'Shape', id: 2 }, content: { type: 'bytes', id: 4 } },
    },
    List: {
      fields: {
        s: many('bytes', 2),
        i: many('int64', 3),
        f: many('float', 4),
        b: many('bool', 5),
        type: many('int32', 6),
        shape: many('Shape', 7),
      },
    },
    Attr: {
      oneofs: { value: { oneof: ['list', 's', 'i', 'f', 'b', 'type', 'shape', 'tensor'] } },
      fields: {
        list: { type: 'List', id: 1 },
        s: { type: 'bytes', id: 2 },
        i: { type: 'int64', id: 3 },
        f: { type: 'float', id: 4 },
        b: { type: 'bool', id: 5 },
        type: { type: 'int32', id: 6 },
        shape: { type: 'Shape', id: 7 },
        tensor: { type: 'Tensor', id: 8 },
      },
    },
    Node: {
      fields: {
        name: { type: 'string', id: 1 },
        op: { type: 'string', id: 2 },
        input: many('string', 3),
        attr: map('Attr', 5),
      },
    },
    Versions: { fields: { producer: { type: 'int32', id: 1 }, minConsumer: { type: 'int32', id: 2 } } },
    Graph: { fields: { node: many('Node', 1), versions: { type: 'Versions', id: 4 } } },
    MetaInfo: { fields: { tags: many('string', 4) } },
    MetaGraph: { fields: { metaInfo: { type: 'MetaInfo', id: 1 }, graph: { type: 'Graph', id: 2 } } },
    SavedModel: { fields: { schemaVersion: { type: 'int64', id: 1 }, metaGraphs: many('MetaGraph', 2) } },
  },
});

/** An attribute value of a node, as the oneof of TensorFlow's AttrValue. */
export interface Attr {
  s?: Uint8Array;
  i?: number;
  f?: number;
  b?: boolean;
  type?: number;
  shape?: { dim: { size: number }[] };
  tensor?: { dtype: number; shape: { dim: { size: number }[] }; content: Uint8Array };
  list?: { i?: number[]; f?: number[]; b?: boolean[]; s?: Uint8Array[] };
}

/** A node of a graph: `input` holds `name:output`, or `^name` for a control dependency. */
export interface Node {
  name: string;
  op: string;
  input: string[];
  attr: Record<string, Attr>;
  /** The operation of TensorFlow.js that made it, `tf.add`, for messages; no part of the graph. */
  from?: string | undefined;
  /** Multiplications of a linear map, for the choice of its precision; no part of the graph. */
  products?: number;
}

export const TAG = 'logsnr';
// GraphDef version that TensorFlow 2.16 and later write; older consumers are not supported.
const PRODUCER = 1882;

/** The bytes of `saved_model.pb` for a graph of these nodes. */
export function savedModelOf(nodes: readonly Node[]): Uint8Array {
  const type = root.lookupType('SavedModel');
  const graph = { node: nodes, versions: { producer: PRODUCER, minConsumer: 12 } };
  const message = { schemaVersion: 1, metaGraphs: [{ metaInfo: { tags: [TAG] }, graph }] };
  return type.encode(type.fromObject(message)).finish();
}

export const shapeOf = (shape: readonly number[]) => ({ dim: shape.map((size) => ({ size })) });
