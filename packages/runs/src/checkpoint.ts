import { type FileHandle, open } from 'node:fs/promises';
import { flatten, type Key, unflatten } from '@logsnr/core';
import { dataStartOf, type Entry, frame, type Heading, type Metadata, parseHeader, valuesOf } from '@logsnr/io';
import { type Fingerprint, replaceFile, writeSynced } from '@logsnr/io/node';
import type { Parameters } from '@logsnr/nn';
import { assertShapes, type TrainingState } from '@logsnr/training';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';

/** A training state with notes of the caller's, such as the settings that the network was built with. */
export interface Checkpoint extends TrainingState {
  readonly metadata: Metadata;
}

type Saved = TrainingState & { readonly metadata?: Metadata };

const FORMAT = 'logsnr-checkpoint-2';
/** Format 1 had no losses, skipped steps, seconds, key and further averages. */
const READ = [FORMAT, 'logsnr-checkpoint-1'];
const PARTS = ['parameters', 'ema', 'averages', 'optimizer', 'history'] as const;
const OWN = ['format', 'step', 'skipped', 'seconds', 'key'];
const LOSSES = 'history.losses';

/**
 * Writes a checkpoint as a safetensors file, which other tools can open: tensors `parameters.*`, `ema.*`,
 * `averages.NAME.*`, `optimizer.*` and `history.losses`; the step and other numbers in the metadata. The file is
 * written beside `path`, synced and renamed, so `path` is never half a file.
 * @throws RangeError on metadata that is not text or has a key of the checkpoint's own.
 * @throws Error that names the file and says what to do where it cannot be written.
 */
export async function saveCheckpoint(path: string, state: Saved): Promise<void> {
  await replaceFile(path, checkpointPieces(state));
}

/** Writes a checkpoint to a new file, synced. */
export const writeCheckpoint = (path: string, state: Saved): Promise<Fingerprint> =>
  writeSynced(path, checkpointPieces(state));

async function* checkpointPieces(state: Saved): AsyncGenerator<Uint8Array> {
  const { metadata = {}, step, skipped = [], seconds = 0, key, losses = [] } = state;
  for (const name of OWN)
    if (Object.hasOwn(metadata, name)) throw new RangeError(`the metadata key "${name}" is the checkpoint's own.`);
  const tensors = namedTensors(state);
  const headings = tensors.map(([name, { dtype, shape }]): Heading => {
    if (dtype !== 'float32' && dtype !== 'int32')
      throw new RangeError(`"${name}" is ${dtype}; a checkpoint holds float32 and int32.`);
    return { name, dtype: dtype === 'int32' ? 'I32' : 'F32', shape };
  });
  const history: Heading = { name: LOSSES, dtype: 'F32', shape: [losses.length] };
  const own = {
    format: FORMAT,
    step: String(step),
    skipped: JSON.stringify(skipped),
    seconds: String(seconds),
    ...(key ? { key: key.words.join() } : {}),
  };
  yield frame([...headings, history], { ...metadata, ...own }).header;
  for (const [, value] of tensors) {
    const { buffer, byteOffset, byteLength } = await value.data<'float32' | 'int32'>();
    yield new Uint8Array(buffer, byteOffset, byteLength);
  }
  yield new Uint8Array(Float32Array.from(losses).buffer);
}

function namedTensors({ parameters, ema = {}, averages = {}, optimizer = {} }: TrainingState): [string, Tensor][] {
  const under = (part: string, group: Parameters) =>
    Object.entries(flatten<Tensor>(group)).map(([path, value]): [string, Tensor] => [`${part}.${path}`, value]);
  return [
    ...under('parameters', parameters),
    ...under('ema', ema),
    ...Object.entries(averages).flatMap(([name, group]) => under(`averages.${name}`, group)),
    ...under('optimizer', optimizer),
  ];
}

/**
 * Reads a checkpoint, whose tensors the caller owns. With `shapes` (a network's) its parameters and averages must fit
 * them; that and the whole header are checked before any tensor is made.
 * @throws RangeError that names the file and what is wrong with it.
 */
export async function loadCheckpoint(
  path: string,
  { shapes }: { readonly shapes?: Readonly<Record<string, readonly number[]>> } = {},
): Promise<Checkpoint> {
  const file = await open(path, 'r');
  const made: Tensor[] = [];
  try {
    const { size } = await file.stat();
    const dataStart = dataStartOf(await readAt(file, 0, Math.min(8, size), path), size, path);
    const { entries, metadata } = parseHeader(await readAt(file, 0, dataStart, path), size, path);
    const numbers = numbersOf(metadata, path);
    const { parameters = {}, ema, averages, optimizer, history } = grouped(entries, path);
    const named = averages && byName(averages);
    if (shapes) {
      assertShapes(parameters, shapes, `the parameters in ${path}`);
      if (ema) assertShapes(ema, shapes, `the averaged parameters in ${path}`);
      for (const [name, group] of Object.entries(named ?? {}))
        assertShapes(group, shapes, `the average "${name}" in ${path}`);
    }
    for (const { name, dtype } of entries)
      if (dtype !== 'F32' && dtype !== 'I32')
        throw new RangeError(`${path} holds "${name}" as ${dtype}; a checkpoint holds F32 and I32.`);
    const values = async (entry: Entry) =>
      valuesOf(entry.dtype, await readAt(file, dataStart + entry.start, entry.end - entry.start, path)) as
        | Float32Array
        | Int32Array;
    const read = async (group: Readonly<Record<string, Entry>>): Promise<Parameters> => {
      const tensors: Record<string, Tensor> = {};
      for (const [name, entry] of Object.entries(group)) {
        const value = tensor(await values(entry), [...entry.shape], entry.dtype === 'I32' ? 'int32' : 'float32');
        made.push(value);
        tensors[name] = value;
      }
      return unflatten<Tensor>(tensors) as Parameters;
    };
    const readAll = async (groups: Readonly<Record<string, Record<string, Entry>>>) => {
      const all: Record<string, Parameters> = {};
      for (const [name, group] of Object.entries(groups)) all[name] = await read(group);
      return all;
    };
    const losses = history?.losses;
    return {
      ...numbers,
      parameters: await read(parameters),
      ...(ema ? { ema: await read(ema) } : {}),
      ...(named ? { averages: await readAll(named) } : {}),
      ...(optimizer ? { optimizer: await read(optimizer) } : {}),
      ...(losses ? { losses: Array.from((await values(losses)) as Float32Array) } : {}),
    };
  } catch (error) {
    for (const value of made) value.dispose();
    throw error;
  } finally {
    await file.close();
  }
}

/** What the metadata of a checkpoint says, checked. */
function numbersOf(metadata: Metadata, path: string): Omit<Checkpoint, 'parameters'> {
  const { format = '', step: text, skipped = '[]', seconds: time = '0', key, ...notes } = metadata;
  const step = Number(text);
  if (!READ.includes(format) || !Number.isSafeInteger(step) || step < 0)
    throw new RangeError(`${path} is no checkpoint of this kind: its metadata lacks format "${FORMAT}" and a step.`);
  const words = key?.split(',').map(Number);
  const seconds = Number(time);
  if (!(seconds >= 0) || (words && !(words.length === 2 && words.every((word) => word >>> 0 === word))))
    throw new RangeError(`${path} has metadata that cannot be right: seconds ${time}, key ${key}.`);
  return {
    step,
    skipped: steps(skipped, path),
    seconds,
    ...(words ? { key: { words: words as unknown as Key['words'] } } : {}),
    metadata: notes,
  };
}

function steps(text: string, path: string): number[] {
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.every((step) => Number.isSafeInteger(step))) return list;
  } catch {}
  throw new RangeError(`${path} has metadata that cannot be right: skipped ${text}.`);
}

type Groups = { [P in (typeof PARTS)[number]]?: Record<string, Entry> };

function grouped(entries: readonly Entry[], path: string): Groups {
  const partOf = ({ name }: Entry) => PARTS.find((part) => name.startsWith(`${part}.`));
  for (const entry of entries)
    if (!partOf(entry))
      throw new RangeError(
        `${path} has a tensor "${entry.name}"; names in a checkpoint begin with ${PARTS.join('., ')}.`,
      );
  const members = PARTS.map((part) => {
    const own = entries.filter((entry) => partOf(entry) === part);
    return [part, Object.fromEntries(own.map((entry) => [entry.name.slice(part.length + 1), entry]))] as const;
  });
  return Object.fromEntries(members.filter(([, own]) => Object.keys(own).length > 0));
}

/** `NAME.parameter` by name; a name of an average has no dot. */
function byName(entries: Readonly<Record<string, Entry>>): Record<string, Record<string, Entry>> {
  const groups: Record<string, Record<string, Entry>> = {};
  for (const [path, entry] of Object.entries(entries)) {
    const dot = path.indexOf('.');
    const name = path.slice(0, dot);
    groups[name] = { ...groups[name], [path.slice(dot + 1)]: entry };
  }
  return groups;
}

async function readAt(
  file: FileHandle,
  position: number,
  length: number,
  path: string,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(bytes, at, Math.min(length - at, 2 ** 30), position + at);
    if (bytesRead === 0) throw new RangeError(`${path} ended after ${position + at} bytes while it was read.`);
    at += bytesRead;
  }
  return bytes;
}
