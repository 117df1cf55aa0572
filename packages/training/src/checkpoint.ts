import type { FileHandle } from 'node:fs/promises';
import type { Parameters } from '@logsnr/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import { dataOf, dataStartOf, type Entry, frame, type Metadata, parseHeader } from './safetensors-header.js';
import { assertShapes } from './shapes.js';
import type { TrainingState } from './training-state.js';

/** A training state with notes of the caller's, such as the settings that the network was built with. */
export interface Checkpoint extends TrainingState {
  readonly metadata: Metadata;
}

const PARTS = ['parameters', 'ema', 'optimizer'] as const;
const FORMAT = 'logsnr-checkpoint-1';
let written = 0;

/**
 * Writes a checkpoint as a safetensors file, which other tools can open: tensors `parameters.*`, `ema.*` and
 * `optimizer.*`, the step in the metadata. The file is written beside `path` and renamed, so `path` is never half a file.
 * @throws RangeError on metadata that is not text or has one of the keys "format" and "step".
 */
export async function saveCheckpoint(
  path: string,
  state: TrainingState & { readonly metadata?: Metadata },
): Promise<void> {
  const { metadata = {}, step } = state;
  for (const key of ['format', 'step'])
    if (Object.hasOwn(metadata, key)) throw new RangeError(`the metadata key "${key}" is the checkpoint's own.`);
  const tensors = PARTS.flatMap((part) =>
    Object.entries(state[part] ?? {}).map(([name, value]) => ({ name: `${part}.${name}`, value })),
  );
  const headings = tensors.map(({ name, value: { dtype, shape } }) => {
    if (dtype !== 'float32' && dtype !== 'int32')
      throw new RangeError(`"${name}" is ${dtype}; a checkpoint holds float32 and int32.`);
    return { name, dtype, shape } as const;
  });
  const { header } = frame(headings, { ...metadata, format: FORMAT, step: String(step) });

  const { open, rename, rm } = await import('node:fs/promises');
  const beside = `${path}.${process.pid}-${written++}.tmp`;
  const file = await open(beside, 'wx');
  try {
    try {
      await writeAll(file, header);
      for (const { value } of tensors) {
        const data = await value.data<'float32' | 'int32'>();
        await writeAll(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
      }
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(beside, path);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
}

/**
 * Reads a checkpoint, whose tensors the caller owns. With `shapes` (a network's) its parameters and average must fit
 * them; that and the whole header are checked before any tensor is made.
 * @throws RangeError that names the file and what is wrong with it.
 */
export async function loadCheckpoint(
  path: string,
  { shapes }: { readonly shapes?: Readonly<Record<string, readonly number[]>> } = {},
): Promise<Checkpoint> {
  const { open } = await import('node:fs/promises');
  const file = await open(path, 'r');
  const made: Tensor[] = [];
  try {
    const { size } = await file.stat();
    const dataStart = dataStartOf(await readAt(file, 0, Math.min(8, size), path), size, path);
    const { entries, metadata } = parseHeader(await readAt(file, 0, dataStart, path), size, path);
    const { format, step: text, ...notes } = metadata;
    const step = Number(text);
    if (format !== FORMAT || !Number.isSafeInteger(step) || step < 0)
      throw new RangeError(`${path} is no checkpoint of this kind: its metadata lacks format "${FORMAT}" and a step.`);
    const groups = grouped(entries, path);
    if (shapes) assertShapes(groups.parameters ?? {}, shapes, `the parameters in ${path}`);
    if (shapes && groups.ema) assertShapes(groups.ema, shapes, `the averaged parameters in ${path}`);

    const read = async (group: Readonly<Record<string, Entry>>): Promise<Parameters> => {
      const tensors: [string, Tensor][] = [];
      for (const [name, entry] of Object.entries(group)) {
        const bytes = await readAt(file, dataStart + entry.start, entry.end - entry.start, path);
        const value = tensor(dataOf(entry, bytes), [...entry.shape], entry.dtype);
        made.push(value);
        tensors.push([name, value]);
      }
      return Object.fromEntries(tensors);
    };
    return {
      step,
      parameters: await read(groups.parameters ?? {}),
      ...(groups.ema ? { ema: await read(groups.ema) } : {}),
      ...(groups.optimizer ? { optimizer: await read(groups.optimizer) } : {}),
      metadata: notes,
    };
  } catch (error) {
    for (const value of made) value.dispose();
    throw error;
  } finally {
    await file.close();
  }
}

function grouped(entries: readonly Entry[], path: string): { [P in (typeof PARTS)[number]]?: Record<string, Entry> } {
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

async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  // A system call takes less than 2 GiB.
  for (let at = 0; at < bytes.length; )
    at += (await file.write(bytes, at, Math.min(bytes.length - at, 2 ** 30))).bytesWritten;
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
