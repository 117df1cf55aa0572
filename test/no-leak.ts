import { dispose, memory } from '@tensorflow/tfjs-core';
import { expect } from 'vitest';

/** Runs `body` twice and expects it to leave exactly the tensors that it returns. */
export function expectNoLeak(body: () => unknown): void {
  for (let run = 0; run < 2; run++) {
    const before = memory().numTensors;
    dispose(body() as never);
    expect(memory().numTensors).toBe(before);
  }
}
