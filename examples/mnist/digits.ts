// The demo's diffusion model: what it is made of, and, for the other examples, its weights.
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fold, type Key, labels } from '@logsnr/core';
import { batch, type ImageSet, shuffledIndices } from '@logsnr/data';
import { noisyClassifier, unet } from '@logsnr/networks';
import { type Parameters, shapesOf } from '@logsnr/nn';
import { loadCheckpoint, progressLine, saveCheckpoint, withRun } from '@logsnr/runs';
import { arctan } from '@logsnr/schedules';
import { native } from '@logsnr/tensorflow';
import { adam, cosineDecay, train, trainNoisyClassifier } from '@logsnr/training';

export const config = {
  height: 28,
  width: 28,
  channels: 1,
  classes: 10,
  base: 16,
  multipliers: [1, 2, 2],
  blocks: 1,
  attention: [7],
  groups: 8,
};
export const network = unet(config);
export const classifier = noisyClassifier(config);
export const classes = labels(10);
export const schedule = arctan({ lambdaMin: -12, lambdaMax: 12 });
export const optimizer = adam({ learningRate: cosineDecay(3e-3, 1e-4), clipNorm: 1, warmup: 20 });

/** Batches of 64 images, or another number, with their digits as conditions. */
export const batches =
  (data: ImageSet, key: Key, size = 64) =>
  (step: number) => {
    const { images, labels } = batch(data, shuffledIndices(key, data.count, step, size));
    return { images, condition: labels };
  };

/** Where `npm run demo` leaves its checkpoint. */
const demoCheckpoint = fileURLToPath(new URL('../../out/mnist/checkpoint.safetensors', import.meta.url));

/** The averaged weights in a checkpoint, or the weights where it has no average. */
export async function weightsIn(path: string): Promise<{ weights: Parameters; step: number }> {
  const { ema, parameters, step } = await loadCheckpoint(path, { shapes: shapesOf(network) });
  return { weights: ema ?? parameters, step };
}

export interface Digits {
  /** The averaged weights; the network predicts v. */
  weights: Parameters;
  /** Seconds of training, where it was trained now. */
  seconds?: number;
}

/**
 * Loads `from`, by default the demo's checkpoint where there is one; else trains for so many steps in a run folder in `out`, where the same
 * command goes on, and leaves the checkpoint in `out`. A quick run leaves the demo's alone, so that it is the same wherever it runs.
 */
export async function digits(
  options: { from?: string; quick: boolean; out: string; trainingSteps: number },
  data: ImageSet,
  key: Key,
): Promise<Digits> {
  mkdirSync(options.out, { recursive: true });
  const demo = !options.quick && existsSync(demoCheckpoint) ? demoCheckpoint : undefined;
  const from = options.from ?? demo;
  if (from !== undefined) {
    if (!existsSync(from)) throw new RangeError(`there is no checkpoint ${from}.`);
    const { weights, step } = await weightsIn(from);
    console.log(`diffusion model: ${from}, ${step} steps`);
    return { weights };
  }
  const line = await progressLine();
  const trained = await withRun(
    {
      folder: join(options.out, `model-${options.trainingSteps}`),
      settings: { key: [...key.words], steps: options.trainingSteps },
      shapes: shapesOf(network),
      onStep: line.update,
    },
    (run) =>
      train({
        ...{ network, prediction: 'v' as const, conditioning: classes, schedule },
        batch: batches(data, fold(key, 0)),
        pUncond: 0.1,
        optimizer,
        emaDecay: 0.995,
        key: fold(key, 1),
        steps: options.trainingSteps,
        runtime: native(),
        ...run,
      }),
  );
  line.stop();
  await saveCheckpoint(join(options.out, 'checkpoint.safetensors'), { ...trained, metadata: { example: 'mnist' } });
  console.log(`diffusion model: ${trained.step} steps in ${trained.seconds.toFixed(0)} s`);
  return { weights: trained.ema, seconds: trained.seconds };
}

/** Trains the noise-aware classifier of classifier guidance on data noised as for the diffusion model, shuffled by `order`. */
export async function trainedClassifier(data: ImageSet, order: Key, key: Key, steps: number) {
  const line = await progressLine({ label: 'noise-aware classifier' });
  const trained = await trainNoisyClassifier({
    network: classifier,
    schedule,
    batch: (step) => batch(data, shuffledIndices(order, data.count, step, 64)),
    optimizer,
    key,
    steps,
    onStep: line.update,
    runtime: native(),
  });
  line.stop();
  return trained;
}
