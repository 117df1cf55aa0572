import { parentPort, workerData } from 'node:worker_threads';

type Make = (step: number) => object | Promise<object>;

/**
 * The other side of `batchWorker`, for the module that it names: answers each step with what `make` returns for it.
 * Typed arrays in it move to the other thread without a copy.
 * @param prepare gets the `data` of `batchWorker`, once.
 */
export async function serveBatches<D>(prepare: (data: D) => Make | Promise<Make>): Promise<void> {
  const port = parentPort;
  if (!port) throw new Error('serveBatches runs in a thread that batchWorker started.');
  const make = await prepare(workerData as D);
  port.on('message', async (step: number) => {
    try {
      const result = await make(step);
      const buffers = Object.values(result).flatMap((value) =>
        ArrayBuffer.isView(value) && value.buffer instanceof ArrayBuffer ? [value.buffer] : [],
      );
      port.postMessage({ step, result }, [...new Set(buffers)]);
    } catch (error) {
      port.postMessage({ step, error });
    }
  });
}
