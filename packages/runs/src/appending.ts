import { open } from 'node:fs/promises';
import { explained } from '@logsnr/io/node';

/** A file that grows by whole records. */
export interface Appending {
  add(record: string | Uint8Array): void;
  /** Writes what was added. Where that fails the records wait for the next time, and no part of them stays behind. */
  flush(): Promise<void>;
}

/** Appends to the file `path`, which is made where it is not there. */
export function appending(path: string): Appending {
  let waiting: Buffer[] = [];
  let whole: number | undefined; // The bytes of whole records.
  return {
    add(record) {
      waiting.push(Buffer.from(record));
    },
    async flush() {
      if (waiting.length === 0) return;
      const records = waiting.length;
      try {
        const file = await open(path, 'a');
        try {
          const { size } = await file.stat();
          whole = Math.min(whole ?? size, size);
          if (whole < size) await file.truncate(whole); // What could not be cut off last time.
          const bytes = Buffer.concat(waiting);
          await file.appendFile(bytes).catch(async (error) => {
            await file.truncate(whole).catch(() => {});
            throw error;
          });
          whole += bytes.length;
        } finally {
          await file.close();
        }
      } catch (error) {
        throw explained(error, path);
      }
      waiting = waiting.slice(records);
    },
  };
}
