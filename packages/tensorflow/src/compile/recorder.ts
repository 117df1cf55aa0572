import { createHash } from 'node:crypto';
import type { Binding, OpAttr, TensorMetadata } from '../native.js';
import { frozen, shapeIn } from './frozen.js';
import { PRODUCTS } from './precision.js';
import { type Attr, type Node, shapeOf } from './proto.js';
import { changes, constant, lift, type Recording, type Source } from './recording.js';
import { cannot, operationNow } from './refuse.js';

/** Constants larger than this, and tensors of the surrounding scope, become variables, so that the graph stays small. */
const LIFT_BYTES = 1 << 10;

/** Operations of TensorFlow whose result has a shape that depends on values, which the functions around it would freeze. */
const SHAPE_OF_VALUES =
  /^(Where|Unique|UniqueV2|ListDiff|NonMaxSuppression.*|SparseFillEmptyRows|SparseSegment.*|Ragged.*)$/;

const bytesOf = (values: ArrayBufferView): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

/** The binding, recording every operation while it executes it. */
export function recorder(binding: Binding, recording: Recording): Binding {
  const constants = new Map<string, Source>();
  const placeOf = (id: number) => recording.sources.get(id) ?? captured(binding, recording, id);
  const overrides: Partial<Binding> = {
    createTensor(shape, dtype, values) {
      checkNumbers(values);
      const id = binding.createTensor(shape, dtype, values);
      const key = `${dtype}[${shape}]${createHash('sha256').update(bytesOf(values)).digest('hex')}`;
      let source = constants.get(key);
      if (source === undefined) {
        source = fillOf(recording, shape, dtype, values) ?? sourceOf(binding, recording, { id, shape, dtype }, values);
        constants.set(key, source);
      }
      recording.sources.set(id, source);
      return id;
    },
    executeOp(name, attrs, inputs, outputs) {
      checkOperation(recording, name, inputs);
      const planned = frozen(binding, recording, name, attrs, inputs);
      const from = (planned?.input ?? inputs).map((input) => (typeof input === 'string' ? input : placeOf(input)));
      const results = execute(binding, name, attrs, inputs, outputs);
      const attr = planned?.attr ?? attributes(binding, name, attrs);
      // One kernel leaves its types to be inferred, which a graph does not do; one names the type before its own cast.
      if (name === 'ExpandDims') Object.assign(attr, { T: { type: results[0]?.dtype }, Tdim: { type: INT32 } });
      if (name === 'Mean') Object.assign(attr, { T: { type: results[0]?.dtype } });
      const node = recording.add(planned?.op ?? name, from, attr);
      if (name in PRODUCTS) {
        // Of m × k and k × n, whichever is transposed: (m k · k n · m n)^½ = m k n.
        const shapes = [...inputs.slice(0, 2).map((id) => shapeIn(binding, id)), results[0]?.shape ?? []];
        const last = recording.nodes.at(-1) as Node;
        last.products = Math.sqrt(shapes.flat().reduce((all, size) => all * size, 1));
      }
      results.forEach((result, i) => {
        recording.sources.set(result.id, `${node}:${i}`);
      });
      return results;
    },
  };
  return Object.setPrototypeOf(overrides, binding) as Binding;
}

/** Runs an operation; TensorFlow's own messages do not say which one they are about. */
function execute(binding: Binding, name: string, ...call: [OpAttr[], number[], number]): TensorMetadata[] {
  try {
    return binding.executeOp(name, ...call);
  } catch (error) {
    throw new Error(`compile: ${operationNow() ?? name}: ${(error as Error).message}`);
  }
}

/** Refuses what a replay would repeat: a draw without a new key, a shape that depends on values. */
function checkOperation(recording: Recording, name: string, inputs: readonly number[]): void {
  const change = (id: number | undefined) => id !== undefined && changes(recording, recording.sources.get(id));
  if (/Random|Multinomial|TruncatedNormal/.test(name) && !(name === 'StatelessRandomUniformV2' && change(inputs[1]))) {
    const draws = name.startsWith('Stateless')
      ? 'it would draw the same noise at every replay'
      : 'it would draw from a generator with hidden state';
    throw cannot(name, draws, 'Draw the noise outside and pass it, or a key for it, as an argument.');
  }
  if (SHAPE_OF_VALUES.test(name) && inputs.some(change)) throw cannot(name, 'its shape depends on values');
}

function checkNumbers(values: unknown): void {
  if (!ArrayBuffer.isView(values)) throw cannot('a tensor of strings', 'a graph holds numbers');
}

/** A tensor that the function closes over, as it is at capture. */
function captured(binding: Binding, recording: Recording, id: number): Source {
  const values = binding.tensorDataSync(id);
  checkNumbers(values);
  const [copy] = binding.executeOp('Identity', [], [id], 1) as [TensorMetadata];
  try {
    const source = sourceOf(binding, recording, copy, values);
    recording.sources.set(id, source);
    return source;
  } finally {
    binding.deleteTensor(copy.id);
  }
}

/** A constant if it is small, so that the graph can be simplified with it, else a variable. */
function sourceOf(
  binding: Binding,
  recording: Recording,
  { id, shape, dtype }: TensorMetadata,
  values: Values,
): Source {
  if (values.byteLength <= LIFT_BYTES) return constant(recording, shape, dtype, bytesOf(values));
  const [copy] = binding.executeOp('Identity', [], [id], 1) as [TensorMetadata];
  return lift(recording, copy);
}

type Values = Float32Array | Int32Array | Uint8Array;

/** Many times the same number, such as zeros and ones, as an operation; undefined for other values. */
function fillOf(recording: Recording, shape: readonly number[], dtype: number, values: Values): Source | undefined {
  if (values.length <= 16 || !values.every((value) => Object.is(value, values[0]))) return undefined;
  const dims = constant(recording, [shape.length], INT32, bytesOf(Int32Array.from(shape)));
  const value = constant(recording, [], dtype, bytesOf(values).slice(0, values.byteLength / values.length));
  return `${recording.add('Fill', [dims, value], { T: { type: dtype }, index_type: { type: INT32 } })}:0`;
}

const INT32 = 3;

function attributes(binding: Binding, op: string, attrs: readonly OpAttr[]): Record<string, Attr> {
  return Object.fromEntries(attrs.map((attr) => [attr.name, attribute(binding, op, attr)]));
}

function attribute(binding: Binding, op: string, { name, type, value }: OpAttr): Attr {
  const list = Array.isArray(value);
  switch (type) {
    case binding.TF_ATTR_TYPE:
      return { type: value as number };
    case binding.TF_ATTR_INT:
      return list ? { list: { i: value as number[] } } : { i: value as number };
    case binding.TF_ATTR_FLOAT:
      return list ? { list: { f: value as number[] } } : { f: value as number };
    case binding.TF_ATTR_BOOL:
      return list ? { list: { b: value as unknown as boolean[] } } : { b: value as boolean };
    case binding.TF_ATTR_SHAPE:
      return { shape: shapeOf(value as number[]) };
    case binding.TF_ATTR_STRING:
      return { s: Buffer.from(value as string) };
    default:
      throw new Error(`compile: the attribute ${name} of ${op} has a type (${type}) that a graph cannot carry.`);
  }
}
