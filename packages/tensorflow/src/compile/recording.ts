import type { TensorMetadata } from '../native.js';
import { type Attr, type Node, shapeOf } from './proto.js';
import { operationNow } from './refuse.js';

/** Where a value comes from in the graph: `name:output`. */
export type Source = string;

/** The graph that one run of a function leaves, and which of the binding's tensor numbers stand where in it. */
export interface Recording {
  readonly nodes: Node[];
  readonly sources: Map<number, Source>;
  /** Copies of the large constants and closed-over tensors, in the order of the variables `closed0`, `closed1`, … */
  readonly lifted: TensorMetadata[];
  /** The filters of kernels that no replay changes, as they are and turned by 180°, by the kernel's number. */
  readonly filters: Map<number, { readonly plain?: Source; readonly turned?: Source }>;
  add(op: string, input: string[], attr: Record<string, Attr>): string;
}

/** An empty recording. Names are numbered, so equal functions give equal graphs. */
export function newRecording(): Recording {
  const nodes: Node[] = [];
  return {
    nodes,
    sources: new Map(),
    lifted: [],
    filters: new Map(),
    add(op, input, attr) {
      const name = `n${nodes.length}`;
      nodes.push({ name, op, input, attr, from: operationNow() });
      return name;
    },
  };
}

export const nameOf = (source: Source): string => source.slice(0, source.lastIndexOf(':'));

/** Whether a value is made of what a replay may change: an argument, as a state is too. */
export function changes({ nodes }: Recording, source: Source | undefined): boolean {
  const byName = new Map(nodes.map((node) => [node.name, node]));
  const seen = new Set<Source>();
  const pending = source === undefined ? [] : [source];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const node = byName.get(nameOf(next));
    if (node?.op === 'Placeholder') return true;
    for (const input of node?.input ?? [])
      if (!seen.has(input)) {
        seen.add(input);
        pending.push(input);
      }
  }
  return false;
}

export function constant(recording: Recording, shape: readonly number[], dtype: number, content: Uint8Array): Source {
  const tensor = { dtype, shape: shapeOf(shape), content };
  return `${recording.add('Const', [], { dtype: { type: dtype }, value: { tensor } })}:0`;
}

/** A tensor that the recording takes over, as a variable of the graph. */
export function lift(recording: Recording, metadata: TensorMetadata): Source {
  const handle = `closed${recording.lifted.length}:0`;
  recording.lifted.push(metadata);
  return `${recording.add('ReadVariableOp', [handle], { dtype: { type: metadata.dtype } })}:0`;
}
