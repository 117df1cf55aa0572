import * as tf from '@tensorflow/tfjs-core';

/**
 * The fixed position table of DiT (Peebles & Xie 2022, arXiv 2212.09748; MAE's), [h w, size], size divisible by 4. A token's
 * first half is of its column and its second half of its row: sin(ω_k at), then cos(ω_k at), ω_k = 10000^(−k/(size/4)).
 */
export function positionTable(h: number, w: number, size: number): tf.Tensor2D {
  return tf.tidy(() => {
    const columns = tf.tile(tf.reshape(waves(w, size / 2), [1, w, size / 2]), [h, 1, 1]);
    const rows = tf.tile(tf.reshape(waves(h, size / 2), [h, 1, size / 2]), [1, w, 1]);
    return tf.reshape(tf.concat([columns, rows], 2), [h * w, size]);
  });
}

// In float64, as the peer computes them. Small, so that a graph holds no table of the whole.
function waves(count: number, size: number): tf.Tensor2D {
  const half = size / 2;
  const row = (at: number) => {
    const angles = Array.from({ length: half }, (_, k) => at / 10000 ** (k / half));
    return [...angles.map(Math.sin), ...angles.map(Math.cos)];
  };
  return tf.tensor2d(Array.from({ length: count }, (_, at) => row(at)));
}
