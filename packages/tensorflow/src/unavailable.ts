/** Thrown where the native TensorFlow cannot be used; the message is one line that says why. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}
