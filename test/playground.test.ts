import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { flatten, fold, key, normal, unflatten } from '@logsnr/core';
import { type NetworkSpec, networkOf } from '@logsnr/networks';
import type { Parameters } from '@logsnr/nn';
import { saveParameters } from '@logsnr/pretrained';
import { add, mul, reshape, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { findChromium } from '../apps/playground/find-chromium.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const network: NetworkSpec<'unet'> = {
  kind: 'unet',
  config: { height: 28, width: 28, channels: 1, classes: 10, base: 8, multipliers: [1, 2], blocks: 1, groups: 4 },
};

/** A model of random weights: enough to compare pixels with. */
async function writeModel(folder: string): Promise<void> {
  const first = networkOf({ network }).init(key(0));
  const moved = tidy(() =>
    Object.entries(flatten<Tensor>(first)).map(([path, value], i) => [
      path,
      add(value, mul(reshape(normal(fold(key(1), i), [1, ...value.shape]), value.shape), 0.1)),
    ]),
  );
  const weights = unflatten<Tensor>(Object.fromEntries(moved)) as Parameters;
  await saveParameters(network, weights, join(folder, 'model.safetensors'));
  const schedule = { name: 'arctan', lambdaMin: -12, lambdaMax: 12 };
  const record = { format: 'logsnr-model-1', name: 'random', network, prediction: 'v', schedule };
  writeFileSync(join(folder, 'model.json'), JSON.stringify(record));
}

// The rest of apps/playground/e2e.ts is `pnpm playground:test`.
// It takes minutes where there is no graphics card, so not in `.ci/run`.
test.skipIf(!findChromium() || process.env.CI)(
  'the playground draws the pixels of Node, trains and works offline in Chromium',
  { timeout: 600_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'logsnr-playground-'));
    try {
      await writeModel(folder);
      const command = ['--import', import.meta.resolve('tsx'), join(root, 'apps/playground/e2e.ts'), '--quick'];
      const env = { ...process.env, LOGSNR_PLAYGROUND_MODEL: folder, TSX_TSCONFIG_PATH: join(root, 'tsconfig.json') };
      const { stdout } = await promisify(execFile)(process.execPath, command, { env }).catch((error) => error);
      expect(stdout).toContain('all is well');
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
);
