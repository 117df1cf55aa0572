import { backendInfo } from '@logsnr/tensorflow';
import { expect, test } from 'vitest';
import { fuzzOperations } from '../scripts/fuzz-operations.js';

const native = backendInfo()?.backend === 'tensorflow';

test.skipIf(!native)(
  'native operations of any sizes give what their composed form gives, or are refused by name',
  async () => {
    const { results, refusals, failures } = await fuzzOperations({ seed: 1, cases: 400 });
    expect(failures).toEqual([]);
    expect(results + refusals).toBe(400);
    expect(Math.min(results, refusals)).toBeGreaterThan(100);
  },
  240_000,
);
