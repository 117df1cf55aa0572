import { unflatten } from '@logsnr/core';
import type { OpenTensors } from '@logsnr/io/node';
import type { Parameters } from '@logsnr/nn';
import { dispose, type Tensor, tensor } from '@tensorflow/tfjs-core';
import { checkHeadings } from './check-headings.js';
import type { Fixed, Mapping, Piece } from './mapping.js';
import { countOf, permuted } from './permuted.js';

/** How far a load has come. */
export interface LoadProgress {
  readonly tensors: number;
  readonly ofTensors: number;
  /** Bytes of the parameters in memory, as float32. */
  readonly bytes: number;
  readonly ofBytes: number;
}

/**
 * How far what a file has may lie from what the network computes. An average of weights also averages what is constant, and
 * rounds at every step: with a decay of 0.9999, by up to 1e4 units in the last place.
 */
const ROUNDED = 2e-3;

/**
 * The parameters of a mapping from an open file, which the caller owns. All headings are checked before any value is read. One
 * tensor of the file at a time is in memory.
 * @throws RangeError as {@link checkHeadings}; where copies of one tensor differ; where a value is NaN, or
 *   infinite in float32.
 */
export async function readParameters(
  file: OpenTensors,
  mapping: Mapping,
  what: string,
  progress?: (progress: LoadProgress) => void,
): Promise<Parameters> {
  checkHeadings(file.entries, mapping, what);
  const floats = async (name: string): Promise<Float32Array> => {
    const values = await file.values({ name });
    const singles = values instanceof Float32Array ? values : Float32Array.from(values as Float64Array);
    const at = singles.findIndex((value) => !Number.isFinite(value));
    if (at >= 0)
      throw new RangeError(
        `${what} has ${values[at]} as value ${at} of ${name}, which is no finite number of float32; the training that wrote it had failed.`,
      );
    return singles;
  };
  const made = new Map<string, Tensor>();
  const total = mapping.pieces.reduce((sum, { shape }) => sum + 4 * countOf(shape), 0);
  let bytes = 0;
  try {
    for (const fixed of mapping.fixed)
      if (file.entries.some(({ name }) => name === fixed.name)) checkFixed(fixed, await floats(fixed.name), what);
    for (const piece of mapping.pieces) {
      made.set(piece.path, await readPiece(piece, floats, what));
      bytes += 4 * countOf(piece.shape);
      progress?.({ tensors: made.size, ofTensors: mapping.pieces.length, bytes, ofBytes: total });
    }
    return unflatten<Tensor>(Object.fromEntries(made)) as Parameters;
  } catch (error) {
    dispose([...made.values()]);
    throw error;
  }
}

async function readPiece(
  { shape, parts, axes, order, copies }: Piece,
  floats: (name: string) => Promise<Float32Array>,
  what: string,
): Promise<Tensor> {
  const whole = new Float32Array(countOf(shape));
  let at = 0;
  for (const [i, { name }] of parts.entries()) {
    const values = await floats(name);
    whole.set(values, at);
    at += values.length;
    for (const copy of copies) await checkCopy(copy[i] as string, name, values);
  }
  return tensor(permuted(whole, axes, order), [...shape], 'float32');

  async function checkCopy(copy: string, name: string, values: Float32Array): Promise<void> {
    const again = await floats(copy);
    const differs = again.findIndex((value, i) => !Object.is(value, values[i]));
    if (differs >= 0)
      throw new RangeError(
        `${what} has other values in ${copy} than in ${name}: ${again[differs]} and ${values[differs]}. This network has one layer for all of them, so they must be equal.`,
      );
  }
}

function checkFixed({ name, values }: Fixed, given: Float32Array, what: string): void {
  const own = values();
  const differs = given.findIndex((value, i) => !(Math.abs(value - (own[i] as number)) <= ROUNDED));
  if (differs >= 0)
    throw new RangeError(
      `${what} has ${given[differs]} in ${name} where this network computes ${own[differs]}; it is of another kind.`,
    );
}
