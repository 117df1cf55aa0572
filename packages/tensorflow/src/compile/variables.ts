import { dispose, type Tensor } from '@tensorflow/tfjs-core';
import { nativeBackend } from '../native.js';
import type { Captured } from './capture.js';
import type { Graph, GraphLoader } from './loader.js';
import { type Node, shapeOf } from './proto.js';

const BOOL = 10;
let serial = 0;

/** Variables of a graph, `name0`, `name1`, …: their nodes, and the place that writes all of them when fetched. */
export interface Variables {
  readonly nodes: Node[];
  /** Feeds for {@link written}. */
  readonly feeds: readonly string[];
  readonly written: string;
  /** The variables' handles. */
  readonly handles: readonly string[];
}

/** Resource variables of these types and shapes, each with a placeholder that it can be written from. */
export function variables(name: string, kinds: readonly { dtype: number; shape: readonly number[] }[]): Variables {
  // The name is the variable's in its session: one for each graph.
  const graph = serial++;
  const nodes = kinds.flatMap(({ dtype, shape }, i): Node[] => {
    const attr = { dtype: { type: dtype }, shape: { shape: shapeOf(shape) } };
    const shared = {
      shared_name: { s: Buffer.from(`logsnr/${graph}/${name}${i}`) },
      container: { s: new Uint8Array() },
    };
    return [
      { name: `${name}${i}`, op: 'VarHandleOp', input: [], attr: { ...attr, ...shared } },
      { name: `${name}${i}/new`, op: 'Placeholder', input: [], attr },
      {
        name: `${name}${i}/set`,
        op: 'AssignVariableOp',
        input: [`${name}${i}:0`, `${name}${i}/new:0`],
        attr: { dtype: attr.dtype },
      },
    ];
  });
  const yes = { dtype: BOOL, shape: shapeOf([]), content: Uint8Array.of(1) };
  const done: Node[] = [
    { name: `${name}/yes`, op: 'Const', input: [], attr: { dtype: { type: BOOL }, value: { tensor: yes } } },
    {
      name: `${name}/written`,
      op: 'Identity',
      input: [`${name}/yes:0`, ...kinds.map((_, i) => `^${name}${i}/set`)],
      attr: { T: { type: BOOL } },
    },
  ];
  return {
    nodes: [...nodes, ...done],
    feeds: kinds.map((_, i) => `${name}${i}/new:0`),
    written: `${name}/written:0`,
    handles: kinds.map((_, i) => `${name}${i}:0`),
  };
}

/** Writes values into variables of a loaded graph. */
export function write(graph: Graph, { feeds, written }: Variables, values: readonly Tensor[]): void {
  dispose(
    graph.run(
      feeds.map((place, i) => [place, values[i] as Tensor] as const),
      [written],
    ),
  );
}

/** Loads a captured graph, with the large tensors that the function closed over in variables of their own. */
export function load({ recording }: Captured, loader: GraphLoader, more: readonly Node[] = []): Graph {
  const { nodes, lifted } = recording;
  if (lifted.length === 0) return loader.load([...nodes, ...more]);
  const held = variables('closed', lifted);
  const values = lifted.map((metadata) => nativeBackend().createOutputTensor(metadata));
  try {
    const graph = loader.load([...nodes, ...held.nodes, ...more]);
    write(graph, held, values);
    return graph;
  } finally {
    dispose(values);
  }
}
