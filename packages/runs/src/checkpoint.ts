import { flatten, unflatten } from '@logsnr/core';
import { DamagedFile, type Entry, type Heading, type Metadata } from '@logsnr/io';
import {
  type Fingerprint,
  fingerprintOf,
  type OpenSafetensors,
  type Pieces,
  replaceFile,
  safetensorsPieces,
  withSafetensors,
  writeSynced,
} from '@logsnr/io/node';
import type { Parameters } from '@logsnr/nn';
import { assertShapes, type TrainingState } from '@logsnr/training';
import { dispose, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { CHECKED, numbersOf, textOf } from './checkpoint-metadata.js';

/** A training state with notes of the caller's, such as the settings that the network was built with. */
export interface Checkpoint extends TrainingState {
  readonly metadata: Metadata;
}

type Saved = TrainingState & { readonly metadata?: Metadata };

const PARTS = ['parameters', 'ema', 'averages', 'optimizer', 'history'];
const LOSSES = 'history.losses';
/** Names of more parts are of no network. */
const DEEPEST = 100;
/** More tensors are of no network. Each takes time and memory, also where it is empty. */
const MOST = 2 ** 17;

/**
 * Writes a checkpoint as a safetensors file, which other tools can open: tensors `parameters.*`, `ema.*`,
 * `averages.NAME.*`, `optimizer.*` and `history.losses`; the step and other numbers in the metadata, with a checksum of
 * the whole. The file is written beside `path`, synced and renamed, so `path` is never half a file.
 * @throws RangeError, before anything is written, on whatever `loadCheckpoint` would refuse, and on metadata that is not
 *   text or has a key of the checkpoint's own.
 * @throws Error that names the file and says what to do where it cannot be written.
 */
export async function saveCheckpoint(path: string, state: Saved): Promise<void> {
  await replaceFile(path, checkpointPieces(state));
}

/** Writes a checkpoint to a new file, synced. */
export async function writeCheckpoint(path: string, state: Saved): Promise<Fingerprint> {
  await writeSynced(path, checkpointPieces(state));
  return fingerprintOf(path);
}

async function* checkpointPieces(state: Saved): Pieces {
  const { parameters, ema = {}, averages = {}, optimizer = {}, losses = [] } = state;
  const tensors = Object.entries(flatten<Tensor>({ parameters, ema, averages, optimizer }));
  const headings = tensors.map(([name, { dtype, shape }]): Heading => {
    if (dtype !== 'float32' && dtype !== 'int32')
      throw new RangeError(`"${name}" is ${dtype}; a checkpoint holds float32 and int32.`);
    return { name, dtype: dtype === 'int32' ? 'I32' : 'F32', shape };
  });
  headings.push({ name: LOSSES, dtype: 'F32', shape: [losses.length] });
  const metadata = textOf(state);
  check(headings, numbersOf(metadata, 'the checkpoint').step, 'the checkpoint');
  const copies: Tensor[] = [];
  const data = async function* () {
    for (const copy of copies) {
      const { buffer, byteOffset, byteLength } = await copy.data<'float32' | 'int32'>();
      yield new Uint8Array(buffer, byteOffset, byteLength);
    }
    yield new Uint8Array(Float32Array.from(losses).buffer);
  };
  try {
    // All as they are now: a variable among them may be assigned to while the disk is waited for.
    for (const [, value] of tensors) copies.push(value.clone());
    return yield* safetensorsPieces(headings, metadata, data());
  } finally {
    dispose(copies);
  }
}

/**
 * Reads a checkpoint, whose tensors the caller owns. With `shapes` (a network's) its parameters and averages must fit
 * them; that, the whole header and the checksum are checked before any tensor is made.
 * @throws DamagedFile that names the file and what is wrong with it; RangeError where it does not fit `shapes`.
 */
export const loadCheckpoint = (
  path: string,
  { shapes }: { readonly shapes?: Readonly<Record<string, readonly number[]>> } = {},
): Promise<Checkpoint> => readCheckpoint(path, shapes);

/** Reads a checkpoint that has the fingerprint `written`, as `loadCheckpoint` does. */
export const readCheckpoint = (
  path: string,
  shapes?: Readonly<Record<string, readonly number[]>>,
  written?: Fingerprint,
): Promise<Checkpoint> => {
  const read = async ({ entries, metadata, checked, values }: OpenSafetensors): Promise<Checkpoint> => {
    const numbers = numbersOf(metadata, path);
    if (metadata.format === CHECKED && !checked) throw new DamagedFile(`${path} has lost its checksum.`);
    check(entries, numbers.step, path);
    if (shapes) checkShapes(entries, shapes, path);
    let losses: number[] | undefined;
    const tensors = new Map<string, Tensor>();
    try {
      for (const entry of entries) {
        const data = (await values(entry)) as Float32Array | Int32Array;
        if (entry.name === LOSSES) losses = Array.from(data);
        else tensors.set(entry.name, tensor(data, [...entry.shape], entry.dtype === 'I32' ? 'int32' : 'float32'));
      }
      const { parameters = {}, ...parts } = unflatten<Tensor>(Object.fromEntries(tensors)) as Record<
        string,
        Parameters
      >;
      return { ...numbers, parameters, ...parts, ...(losses ? { losses } : {}) };
    } catch (error) {
      dispose([...tensors.values()]);
      throw error;
    }
  };
  return withSafetensors(path, read, written);
};

/** Throws unless these can be a checkpoint's tensors. */
function check(headings: readonly Heading[], step: number, what: string): void {
  const fail = (fault: string): never => {
    throw new DamagedFile(`${what} ${fault.slice(0, 500)}`);
  };
  if (headings.length > MOST) fail(`has ${headings.length} tensors; a checkpoint has at most ${MOST}.`);
  for (const { name, dtype, shape } of headings) {
    const path = name.split('.');
    const [part = '', ...rest] = path;
    const least = part === 'averages' ? 2 : 1;
    if (!PARTS.includes(part) || rest.length < least || path.length > DEEPEST || path.includes(''))
      fail(`has a tensor "${name.slice(0, 200)}"; names in a checkpoint begin with ${PARTS.join('., ')}.`);
    if (dtype !== 'F32' && dtype !== 'I32') fail(`holds "${name}" as ${dtype}; a checkpoint holds F32 and I32.`);
    if (part === 'history' && (name !== LOSSES || dtype !== 'F32' || shape.length !== 1 || Number(shape[0]) > step))
      fail(`has ${name} of ${dtype} and shape [${shape.join(', ')}]; of step ${step} it has at most ${step} losses.`);
  }
  try {
    unflatten(Object.fromEntries(headings.map((heading) => [heading.name, heading])));
  } catch (error) {
    fail(`has names that exclude each other: ${error instanceof Error ? error.message : error}`);
  }
}

function checkShapes(
  entries: readonly Entry[],
  shapes: Readonly<Record<string, readonly number[]>>,
  path: string,
): void {
  const groups = new Map<string, [string, Entry][]>([['parameters.', []]]);
  for (const entry of entries) {
    const prefix = /^(?:parameters|ema|averages\.[^.]+)\./.exec(entry.name)?.[0];
    if (prefix === undefined) continue;
    const group = groups.get(prefix) ?? [];
    groups.set(prefix, group);
    group.push([entry.name.slice(prefix.length), entry]);
  }
  for (const [prefix, group] of groups) {
    const what = prefix === 'parameters.' ? 'the parameters' : `the average ${prefix.slice(0, -1)}`;
    assertShapes(Object.fromEntries(group), shapes, `${what} in ${path}`);
  }
}
