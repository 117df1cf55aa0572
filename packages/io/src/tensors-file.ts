import { withFile } from './files.js';
import type { OpenTensors } from './open-tensors.js';
import { openPytorch } from './pytorch-file.js';
import { openSafetensors } from './safetensors-file.js';

/**
 * Opens a file of tensors, hands it to `body` and closes it: a safetensors file, or one of `torch.save`, as its first
 * bytes say. Nothing in it is run, and one tensor at a time is in memory.
 * @throws DamagedFile that names the file and what is wrong with it.
 * @throws Error where it cannot be read.
 */
export const withTensors = <R>(path: string, body: (file: OpenTensors) => Promise<R>): Promise<R> =>
  withFile(path, async (file) => {
    const first = await file.read(0, Math.min(9, file.bytes));
    const isHeader = first[8] === '{'.charCodeAt(0);
    const isTorch = !isHeader && (first[0] === PICKLE || (first[0] === ZIP[0] && first[1] === ZIP[1]));
    return body(isTorch ? await openPytorch(file, path) : await openSafetensors(file, path));
  });

const PICKLE = 0x80;
/** How zip files begin: PK. */
const ZIP = [0x50, 0x4b] as const;
