/** A file that is not what was written, or no file at all. Its message names the file. */
export class DamagedFile extends RangeError {}
