import type { Job, Precision, Variant } from './cases.js';
import { startWorker } from './worker-process.js';

/** Floating-point operations a second of a large matrix product, by precision: the best of this project's library and PyTorch. */
export type Peaks = Record<Precision, number>;

/** What a process of its own answers to one request. */
async function asked(variant: Variant, message: object, torch?: string): Promise<number> {
  const worker = startWorker(variant, torch);
  try {
    return (await worker.request<{ flops: number }>(message, 120_000)).flops;
  } finally {
    worker.stop();
  }
}

/** Measures the peaks, one process after the other. @throws where a library does not start: nothing could be timed then. */
export async function measurePeaks(torch?: string): Promise<Peaks> {
  const peaks = { float32: 0, bfloat16: 0 };
  for (const variant of torch ? (['eager', 'torch'] as const) : (['eager'] as const))
    for (const precision of ['float32', 'bfloat16'] as const)
      peaks[precision] = Math.max(peaks[precision], await asked(variant, { cmd: 'peak', precision }, torch));
  return peaks;
}

/** Floating-point operations of one call of a job, as direct convolutions and matrix products do them. */
export const countJob = (job: Job): Promise<number> => asked('eager', { cmd: 'count', job });
