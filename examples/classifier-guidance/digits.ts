// The diffusion model of the MNIST example: from its checkpoint where there is one, else trained here for some minutes.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { fold, type Key, labels, type Parameters } from '@logsnr/core';
import { batch, shuffledIndices } from '@logsnr/data';
import { mnist } from '@logsnr/data/node';
import { unet } from '@logsnr/networks';
import { arctan } from '@logsnr/schedules';
import { native } from '@logsnr/tensorflow';
import { adam, cosineDecay, loadCheckpoint, progressLine, saveCheckpoint, train } from '@logsnr/training';

/** Where `npm run demo` leaves its checkpoint. */
const demoCheckpoint = fileURLToPath(new URL('../../out/mnist/checkpoint.safetensors', import.meta.url));
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
export const classes = labels(10);
export const schedule = arctan({ lambdaMin: -12, lambdaMax: 12 });
export const size = (parameters: Parameters): number =>
  Object.values(parameters).reduce((sum, parameter) => sum + parameter.size, 0);

export interface Digits {
  /** The averaged weights; the network predicts v. */
  weights: Parameters;
  /** Seconds of training, where it was trained now. */
  seconds?: number;
}

/** Loads `from`, by default the demo's checkpoint, where it exists; else trains for `minutes` and writes the checkpoint to `to`. */
export async function digits(options: {
  from?: string | undefined;
  to: string;
  minutes: number;
  key: Key;
}): Promise<Digits> {
  const network = unet(config);
  const { from = demoCheckpoint } = options;
  if (options.from !== undefined && !existsSync(from)) throw new RangeError(`there is no checkpoint ${from}.`);
  if (existsSync(from)) {
    const { ema, parameters, step } = await loadCheckpoint(from, { shapes: network.shapes });
    console.log(`diffusion model: ${from}, ${step} steps`);
    return { weights: ema ?? parameters };
  }
  const data = await mnist();
  const line = await progressLine();
  const started = performance.now();
  const trained = await train({
    network,
    prediction: 'v',
    conditioning: classes,
    schedule,
    batch: (step) => {
      const drawn = shuffledIndices(fold(options.key, 0), data.train.count, step, 64);
      const { images, labels } = batch(data.train, drawn);
      return { images, condition: labels };
    },
    pUncond: 0.1,
    optimizer: adam({ learningRate: cosineDecay(3e-3, 1e-4), clipNorm: 1, warmup: 20 }),
    emaDecay: 0.995,
    key: fold(options.key, 1),
    minutes: options.minutes,
    onStep: line.update,
    runtime: native(),
  });
  line.stop();
  await saveCheckpoint(options.to, { ...trained, metadata: { example: 'mnist' } });
  const seconds = (performance.now() - started) / 1000;
  console.log(`diffusion model: ${trained.losses.length} steps in ${seconds.toFixed(0)} s`);
  return { weights: trained.ema, seconds };
}
