import { alpha, combine, convert, type Prediction, sigma } from '@logsnr/core';
import { dynamicThreshold, staticThreshold, type Threshold } from '@logsnr/guidance';
import { ancestral, ddim, dpmSolverPP2M, heun, type Predict, type Sampler, unipc, walk } from '@logsnr/samplers';
import { discrete, linearBetas } from '@logsnr/schedules';
import type { Tensor } from '@tensorflow/tfjs-core';
import { inSigma, type PeerGrid, peerGrid } from './grids.js';
import type { Row, Scheduler } from './rows.js';
import { torchNoise } from './torch-noise.js';

/** What a loop runs on: float64 numbers, or tensors of shape [4, 192]. */
type Values = Float64Array | Tensor;

/** How to make such values of numbers, to read and to free them. */
export interface Arithmetic<V extends Values> {
  of(numbers: Float64Array): V;
  read(value: V): Float64Array;
  free(value: V): void;
}

export const float64: Arithmetic<Float64Array> = {
  of: (numbers) => numbers,
  read: (value) => value,
  free: () => {},
};

/** Batch, channels, height and width of the peer's images, of `NUMBERS` numbers, a batch's one after the other. */
const [BATCH, SAMPLE] = [4, 3 * 8 * 8];
const NUMBERS = BATCH * SAMPLE;

/** `dummy_sample_deter`: its channels, rows, columns and, innermost, samples are counted through 0, 1/768, …. */
const image = Float64Array.from(
  { length: NUMBERS },
  (_, i) => ((i % SAMPLE) * BATCH + Math.floor(i / SAMPLE)) / NUMBERS,
);
/** `dummy_noise_deter`: the same counted down. */
const noise = image.map((value) => (NUMBERS - 1) / NUMBERS - value);

export interface Sums {
  name: string;
  /** Σ|x| and mean |x| at the end of the loop. */
  sum: number;
  mean: number;
}

/** Runs a row's loop: the walk and the samplers that everyone uses, on the grid and with the habits of the peer. */
export function runRow<V extends Values>(row: Row, arithmetic: Arithmetic<V>): Sums {
  const table = discrete(linearBetas({ steps: row.trainSteps, start: row.betaStart, end: row.betaEnd }));
  const grid = peerGrid(row, table);
  const draw = torchNoise(row.noiseSeed ?? 0, NUMBERS);
  const sampler = samplers[row.scheduler]<V>();
  const z = arithmetic.of(start(row, grid));
  const path = walk({
    predict: predictOf<V>(row, grid),
    sampler: inSigma(row) ? overwriting(sampler) : sampler,
    lambdas: grid.lambdas,
    end: grid.end,
    z,
    noise: () => arithmetic.of(draw()),
  });
  let sum = 0;
  for (const { step, steps, z } of path)
    if (step === steps) sum = arithmetic.read(z).reduce((total, value) => total + Math.abs(value), 0);
  arithmetic.free(z);
  return { name: row.name, sum, mean: sum / NUMBERS };
}

/** In σ, Euler is DDIM and Euler ancestral is ancestral sampling: the same steps of z = α x. */
const samplers: { [name in Scheduler]: <V extends Values>() => Sampler<unknown, V> } = {
  DDIM: ddim,
  DDPM: ancestral,
  Euler: ddim,
  EulerAncestral: ancestral,
  Heun: heun,
  'DPMSolver++2M': dpmSolverPP2M,
  UniPC: unipc,
};

/** z at the grid's first λ: the image alone, or with noise where the loop starts within the grid. */
function start(row: Row, { lambdas, first }: PeerGrid): Float64Array {
  const lambda = lambdas[0] as number;
  // In σ the peer starts from x = z/α = image · (the largest σ/α), otherwise from z = image, or α image + σ noise.
  const scale = inSigma(row) ? alpha(lambda) * Math.exp(-first / 2) : row.startIndex === null ? 1 : alpha(lambda);
  return combine([scale, image], [row.startIndex === null ? 0 : sigma(lambda), noise]);
}

/** The model of a row: the dummy network t/(t + 1) · input, read as what it predicts, and bounds on x̂. */
function predictOf<V extends Values>(row: Row, { timeOf }: PeerGrid): Predict<V> {
  const prediction: Prediction = row.prediction === 'v' ? 'v' : 'eps';
  // In σ, z/α is what the network is given: see `overwriting`.
  const network = (z: V, lambda: number): V => {
    const t = timeOf(lambda);
    return combine([t / (t + 1) / (inSigma(row) ? alpha(lambda) : 1), z]);
  };
  const to = (from: Prediction, target: Prediction, z: V, lambda: number, value: V): V => {
    const scale = convert(from, target, lambda);
    return combine([scale.z, z], [scale.output, value]);
  };
  const threshold = thresholdOf(row);
  return (z, lambda) => {
    const output = network(z, lambda);
    const [x, eps] = [to(prediction, 'x', z, lambda, output), to(prediction, 'eps', z, lambda, output)];
    if (!threshold) return { x, eps, renoise: null, variance: null };
    const bounded = threshold(x, BATCH);
    // DDIM's peer keeps the direction of the network's own ε, whatever becomes of x̂.
    const renoise = row.scheduler === 'DDIM' ? eps : null;
    return { x: bounded, eps: to('x', 'eps', z, lambda, bounded), renoise, variance: null };
  };
}

function thresholdOf({ scheduler, thresholding }: Row): Threshold | null {
  if (thresholding) return dynamicThreshold(thresholding);
  return scheduler === 'DDIM' || scheduler === 'DDPM' ? staticThreshold() : null;
}

/**
 * A sampler with a habit of the peer's tests in σ: they scale x = z/α to the network's input z = α x, and then overwrite
 * x with it. So whatever the sampler holds as z becomes α z before it is used, and the network sees (α z)/α.
 */
function overwriting<S, V extends Values>(sampler: Sampler<S, V>): Sampler<S, V> {
  const scaled = (z: V, lambda: number): V => combine([alpha(lambda), z]);
  return {
    ...sampler,
    step(context, state) {
      const { predict, z, from } = context;
      return sampler.step(
        {
          ...context,
          z: scaled(z, from),
          predict: (z, lambda) => predict(lambda === from ? z : scaled(z, lambda), lambda),
        },
        state,
      );
    },
  };
}
