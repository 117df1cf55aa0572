/** Thrown where the native TensorFlow cannot be used; the message is one line that says why. */
export class Unavailable extends Error {
  override name = 'Unavailable';
}

/** What mends a cache: the end of messages. */
export const installing =
  'run "npx logsnr-tensorflow install" (in a clone of the repository: "node scripts/run.mjs setup")';
