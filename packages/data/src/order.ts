import { checkInteger, fold, type Key, permutation } from '@logsnr/core';

/**
 * The `batchSize` positions in [0, `count`) that step `step` (from 0) trains on, a pure function of its arguments: a run
 * that resumes at a step goes on with the batches it would have had.
 *
 * Steps read one endless list: a permutation of 0 … count − 1 keyed by `fold(k, 0)`, then another by `fold(k, 1)`, and so
 * on. Each image comes once an epoch, every batch is full, and a batch may straddle two epochs.
 * @throws RangeError unless `count` and `batchSize` are positive integers and `step` is an integer ≥ 0.
 */
export function shuffledIndices(k: Key, count: number, step: number, batchSize: number): Uint32Array {
  checkInteger('count', count, 1);
  checkInteger('step', step);
  checkInteger('batchSize', batchSize, 1);
  const start = step * batchSize;
  const indices = new Uint32Array(batchSize);
  for (let filled = 0; filled < batchSize; ) {
    const [epoch, offset] = [Math.floor((start + filled) / count), (start + filled) % count];
    const piece = orderOf(k, epoch, count).subarray(offset, offset + batchSize - filled);
    indices.set(piece, filled);
    filled += piece.length;
  }
  return indices;
}

// The permutation last asked for. It saves drawing one a step and changes no result.
let last: { name: string; order: Uint32Array } | undefined;

function orderOf(k: Key, epoch: number, count: number): Uint32Array {
  const name = [...k.words, epoch, count].join();
  if (last?.name !== name) last = { name, order: permutation(fold(k, epoch), count) };
  return last.order;
}
