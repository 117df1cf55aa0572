import * as tf from '@tensorflow/tfjs-core';

/**
 * Squares of p×p pixels as rows: [n, h, w, c] → [n, (h/p)(w/p), p p c], h and w divisible by p. A row's numbers are (row,
 * column, channel), so a linear map of it is a p×p convolution of stride p, whose kernel [p, p, c, out] is reshaped.
 */
export function patchify(x: tf.Tensor4D, p: number): tf.Tensor3D {
  const [n, h, w, c] = x.shape;
  return tf.tidy(() => {
    const rows = tf.transpose(tf.reshape(x, [(n * h) / p, p, w / p, p * c]), [0, 2, 1, 3]);
    return tf.reshape(rows, [n, (h / p) * (w / p), p * p * c]);
  });
}

/** The image of `height` and `width` pixels whose squares `patchify` gives: [n, (h/p)(w/p), p p c] → [n, h, w, c]. */
export function unpatchify(rows: tf.Tensor3D, p: number, height: number, width: number): tf.Tensor4D {
  const [n, , size] = rows.shape;
  return tf.tidy(() => {
    const squares = tf.reshape(rows, [(n * height) / p, width / p, p, size / p]);
    return tf.reshape(tf.transpose(squares, [0, 2, 1, 3]), [n, height, width, size / (p * p)]);
  });
}
