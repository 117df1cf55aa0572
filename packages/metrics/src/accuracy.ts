import type { Matrix } from '@logsnr/core';
import { checkMatrix } from './matrix.js';

/**
 * The share of samples whose largest score is that of their label, in [0, 1]. Among equal scores the first counts.
 * @param scores probabilities or logits, one sample a row.
 * @param labels one a row, integers in [0, columns).
 * @throws RangeError on a score that is not finite, a label out of range, or sizes that do not fit.
 */
export function accuracy(scores: Matrix, labels: ArrayLike<number>): number {
  checkMatrix('scores', scores);
  const { data, rows, columns } = scores;
  if (labels.length !== rows) throw new RangeError(`there are ${labels.length} labels for ${rows} rows of scores.`);
  let right = 0;
  for (let i = 0; i < rows; i++) {
    const label = labels[i] as number;
    if (!Number.isInteger(label) || label < 0 || label >= columns)
      throw new RangeError(
        `label ${label} at position ${i} is out of range; labels are integers in [0, ${columns - 1}].`,
      );
    let best = 0;
    for (let y = 1; y < columns; y++)
      if ((data[i * columns + y] as number) > (data[i * columns + best] as number)) best = y;
    if (best === label) right++;
  }
  return right / rows;
}
