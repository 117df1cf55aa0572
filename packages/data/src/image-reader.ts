import { type ImageForm, type Place, readImages } from './image-file.js';
import { startThread, type Thread } from './thread.js';

/** Reads images, in threads where there are some. */
export interface ImageReader {
  read(places: readonly Place[]): Promise<Uint8Array>;
  close(): Promise<void>;
}

type Reading = Thread<readonly Place[], { readonly images: Uint8Array }>;

// The built module: a thread of Node 20 runs no TypeScript. It is at this place from the sources, too.
const MODULE = new URL('../dist/image-thread.js', import.meta.url);

/** A reader with so many threads, which begin at the first batch; with 0, this thread does it. */
export function imageReader(form: ImageForm, threads: number): ImageReader {
  if (threads === 0) return { read: (places) => readImages(places, form), close: async () => {} };
  let started: Reading[] = [];
  return {
    async read(places) {
      if (started.length === 0) started = Array.from({ length: threads }, () => startThread(MODULE, form));
      const share = Math.ceil(places.length / threads);
      const parts = await Promise.all(started.map((thread, i) => thread.ask(places.slice(i * share, (i + 1) * share))));
      return new Uint8Array(Buffer.concat(parts.map(({ images }) => images)));
    },
    async close() {
      const ending = started;
      started = [];
      await Promise.all(ending.map((thread) => thread.stop()));
    },
  };
}
