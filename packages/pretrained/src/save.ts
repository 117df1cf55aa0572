import { extname } from 'node:path';
import { flatten, unflatten } from '@logsnr/core';
import { type Pieces, pytorchPieces, replaceFile, safetensorsPieces } from '@logsnr/io/node';
import type { NetworkSpec } from '@logsnr/networks';
import type { Parameters } from '@logsnr/nn';
import { assertShapes } from '@logsnr/training';
import { dispose, type Tensor } from '@tensorflow/tfjs-core';
import { namedOf } from './check-headings.js';
import type { Peer } from './find-peer.js';
import type { AttentionOrder } from './guided-diffusion.js';
import type { Mapping } from './mapping.js';
import { mappingsOf } from './networks.js';
import { isThere } from './open.js';
import { bytesOf } from './write.js';

export interface SaveOptions {
  /** Whose names and layouts the file has. Default `logsnr`. */
  as?: Peer | undefined;
  /** Default `legacy`, or what the preset's published file has. For guided-diffusion's names alone. */
  attentionOrder?: AttentionOrder | undefined;
  /** Whether a file that is there is replaced. Default false. */
  overwrite?: boolean | undefined;
}

/**
 * Writes a network's parameters (borrowed) to a file that the peer loads strictly: `.safetensors`, or `.pt`, `.pth` or `.bin`
 * as `torch.save` writes them. It is written beside its place, synced and renamed.
 * @throws RangeError, before anything is written, where the parameters do not fit the network, the peer has no such network, or
 *   a file is there.
 */
export async function saveParameters(
  network: NetworkSpec,
  parameters: Parameters,
  path: string,
  { as = 'logsnr', attentionOrder, overwrite = false }: SaveOptions = {},
): Promise<void> {
  const whole = mappingsOf(network, attentionOrder, as)[as] as Mapping;
  // What later versions of the peer do not have, they do not accept.
  const mapping = { ...whole, fixed: whole.fixed.filter(({ optional }) => !optional) };
  const tensors = flatten<Tensor>(parameters);
  assertShapes(tensors, Object.fromEntries(mapping.pieces.map(({ path, shape }) => [path, shape])));
  if (!overwrite && (await isThere(path)))
    throw new RangeError(`${path} is there already; give another path, or { overwrite: true }.`);
  // All as they are now: a variable among them may be assigned to while the disk is waited for.
  const copies = Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, tensor.clone()]));
  try {
    await replaceFile(path, piecesFor(path, mapping, unflatten(copies) as Parameters));
  } finally {
    dispose(copies);
  }
}

const ENDS = ['.safetensors', '.pt', '.pth', '.bin'];

function piecesFor(file: string, mapping: Mapping, parameters: Parameters): Pieces {
  const end = extname(file);
  if (!ENDS.includes(end))
    throw new RangeError(`${file} ends with "${end}"; a checkpoint's file ends with ${ENDS.join(', ')}.`);
  const headings = namedOf(mapping).map(({ name, shape }) => ({ name, shape, dtype: 'F32' as const }));
  const data = bytesOf(mapping, parameters);
  // The library of diffusers reads files alone that say so.
  return end === '.safetensors' ? safetensorsPieces(headings, { format: 'pt' }, data) : pytorchPieces(headings, data);
}
