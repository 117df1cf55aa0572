/** Thrown where the native TensorFlow cannot be used; the message is one line that says why, and then what to do. */
export class Unavailable extends Error {
  override name = 'Unavailable';
  /** What to do about it; undefined where that is not known. */
  readonly todo: string | undefined;

  constructor(why: string, todo?: string) {
    super(todo === undefined ? why : `${why}; ${todo}`);
    this.todo = todo;
  }
}

/** What mends a cache. */
export const installing =
  'run "npx logsnr-tensorflow install" (in a clone of the repository: "node scripts/run.mjs setup")';
