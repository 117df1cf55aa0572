/** Such as `process.stderr`. */
export interface TextStream {
  write(text: string): unknown;
  on?(event: 'error', listener: () => void): unknown;
  readonly isTTY?: boolean;
}

const tolerated = new WeakSet<TextStream>();

/**
 * The stream as one that may fail: closed, or a file on a full disk. What it is given is for people, so that is no
 * reason to end the process. Its errors end nothing from then on.
 */
export function tolerant<S extends TextStream>(stream: S): S {
  if (!tolerated.has(stream)) stream.on?.('error', () => {});
  tolerated.add(stream);
  const write = (text: string) => {
    try {
      stream.write(text);
    } catch {}
  };
  return Object.create(stream, { write: { value: write } });
}

/**
 * Writes a line for people to standard error, in place of a progress bar that may stand in the terminal's line. Where
 * it cannot be written, nothing is shown.
 */
export function say(line: string): void {
  const stream = tolerant(process.stderr);
  stream.write(`${stream.isTTY ? '\r\x1b[K' : ''}${line}\n`);
}
