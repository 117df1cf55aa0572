// pnpm bench:frechet: times the Fréchet distance of 2,048 features in TensorFlow's library, and scipy's on the same
// statistics, which go there as npz files.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { key, uniforms } from '@logsnr/core';
import { npzPieces, replaceFile } from '@logsnr/io/node';
import { frechetDistance, gaussianStatistics } from '@logsnr/metrics';
import { linearAlgebra, useBackend } from '@logsnr/tensorflow';
import { Command } from 'commander';

const { python, samples } = new Command('bench:frechet')
  .description('Times the Fréchet distance of 2,048 features.')
  .option('--samples <n>', 'samples of each set', Number, 4096)
  .option('--python <path>', 'a Python with numpy and scipy, to time beside it')
  .parse()
  .opts<{ python?: string; samples: number }>();

await useBackend({ backend: 'tensorflow' });
const algebra = linearAlgebra();
const d = 2048;
const [a, b] = [statistics(1), statistics(2)];
const start = performance.now();
const distance = frechetDistance(a, b, algebra);
console.log(`this project: ${((performance.now() - start) / 1000).toFixed(1)} s, ${distance}`);
console.log(`of a set with itself: ${frechetDistance(a, a, algebra)}`);
if (python) await besideScipy(python);

/** Uniform numbers, neighbours mixed, with shrinking spread. */
function statistics(seed: number) {
  const u = uniforms(key(seed), samples * d);
  const data = u.map((value, i) => (value + 0.3 * (u[Math.max(0, i - 1)] ?? 0)) * 0.998 ** (i % d));
  return gaussianStatistics({ data, rows: samples, columns: d }, algebra);
}

async function besideScipy(python: string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'logsnr-frechet-'));
  try {
    const files = [join(folder, 'a.npz'), join(folder, 'b.npz')];
    for (const [i, { mean, covariance }] of [a, b].entries())
      await replaceFile(
        files[i] as string,
        npzPieces({ mu: { shape: [d], data: mean }, sigma: { shape: [d, d], data: covariance } }),
      );
    const script = fileURLToPath(new URL('../parity/metrics.py', import.meta.url));
    process.stdout.write(execFileSync(python, [script, '--time', ...files], { encoding: 'utf8' }));
  } finally {
    rmSync(folder, { recursive: true });
  }
}
