import type { Job, Precision } from './cases.js';
import { startWorker } from './worker-process.js';

/** Floating-point operations a second of a large matrix product, by precision: the best of this project's library and PyTorch. */
export type Peaks = Partial<Record<Precision, number>>;

const TIMEOUT_MS = 120_000;

/** Measures the peaks, one process after the other. @throws where a library does not start: nothing could be timed then. */
export async function measurePeaks(torch?: string): Promise<Peaks> {
  const peaks: Peaks = {};
  for (const variant of torch ? (['eager', 'torch'] as const) : (['eager'] as const)) {
    const worker = startWorker(variant, torch);
    try {
      for (const precision of ['float32', 'bfloat16'] as const) {
        const { flops } = await worker.request<{ flops: number }>({ cmd: 'peak', precision }, TIMEOUT_MS);
        peaks[precision] = Math.max(peaks[precision] ?? 0, flops);
      }
    } finally {
      worker.stop();
    }
  }
  return peaks;
}

/** Floating-point operations of one call of a job, as direct convolutions and matrix products do them. */
export async function countJob(job: Job): Promise<number> {
  const worker = startWorker('eager');
  try {
    return (await worker.request<{ flops: number }>({ cmd: 'count', job }, TIMEOUT_MS)).flops;
  } finally {
    worker.stop();
  }
}
