import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Expects the same bits from processes in which TensorFlow has 1, 3 and 4 threads. `body` is JavaScript that hands tensors to
 * `add`, with `tf`, `key`, `normal` and all of `@logsnr/nn` as `nn`.
 */
export function expectSameBits(body: string): void {
  const code = `
    import { createHash } from 'node:crypto';
    import { key, normal } from '@logsnr/core';
    import * as nn from '@logsnr/nn';
    import { useBackend } from '@logsnr/tensorflow';
    import * as tf from '@tensorflow/tfjs-core';
    await useBackend({ backend: 'tensorflow', quiet: true });
    const hash = createHash('sha256');
    const add = (tensor) => hash.update(tensor.dataSync());
    const run = (name, inputs, attrs) => add(tf.engine().runKernel(name, inputs, attrs));
    ${body}
    console.log(hash.digest('hex'));`;
  const [one, ...others] = ['1', '3', '4'].map((threads) =>
    execFileSync(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', code], {
      cwd: root,
      env: { ...process.env, TSX_TSCONFIG_PATH: `${root}tsconfig.json`, TF_NUM_INTRAOP_THREADS: threads },
      encoding: 'utf8',
    }),
  );
  expect(one).toMatch(/^[0-9a-f]{64}\n$/);
  expect(others).toEqual([one, one]);
}
