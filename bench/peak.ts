import type { Job, Precision, Variant } from './cases.js';
import { startWorker } from './worker-process.js';

/** Floating-point operations a second of a large matrix product, by precision: the best of this project's library and PyTorch. */
export type Peaks = Record<Precision, number>;

/** What a process of its own answers to one request. */
async function asked<R>(variant: Variant, message: object, torch?: string): Promise<R> {
  const worker = startWorker(variant, torch);
  try {
    return await worker.request<R>(message, 120_000);
  } catch (error) {
    throw new Error(`${torch ?? variant} does not run: ${(error as Error).message}`);
  } finally {
    worker.stop();
  }
}

/** Measures the peaks, one process after the other. @throws where a library does not start: nothing could be timed then. */
export async function measurePeaks(torch?: string): Promise<Peaks> {
  const own = await asked<Peaks>('eager', { cmd: 'peak' });
  const rival = torch ? await asked<Peaks>('torch', { cmd: 'peak' }, torch) : own;
  return { float32: Math.max(own.float32, rival.float32), bfloat16: Math.max(own.bfloat16, rival.bfloat16) };
}

/** Floating-point operations of one call of a job, as direct convolutions and matrix products do them. */
export const countJob = async (job: Job): Promise<number> =>
  (await asked<{ flops: number }>('eager', { cmd: 'count', job })).flops;
