import { flatten } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import type { Tensor } from '@tensorflow/tfjs-core';
import type { Mapping, Piece } from './mapping.js';
import { inverseOf, permuted } from './permuted.js';

/** The bytes of a peer's file of these parameters (borrowed until the end), tensor by tensor. */
export async function* bytesOf(mapping: Mapping, parameters: Parameters): AsyncGenerator<Uint8Array> {
  const tensors = flatten<Tensor>(parameters);
  for (const piece of mapping.pieces) {
    const values = theirs(piece, await (tensors[piece.path] as Tensor).data<'float32'>());
    // Once for the names of its own, and once for those that have the same again.
    for (let copy = 0; copy <= piece.copies.length; copy++) yield bytes(values);
  }
  for (const { values } of mapping.fixed) yield bytes(values());
}

/** The values of all parts, one after the other. */
const theirs = ({ axes, order }: Piece, values: Float32Array): Float32Array =>
  permuted(
    values,
    order.map((axis) => axes[axis] as number),
    inverseOf(order),
  );

const bytes = ({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength);
