import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Conditioning, eager, flatten, fold, key, labels, normal } from '@logsnr/core';
import {
  type DitConfig,
  discreteModel,
  dit,
  mlp,
  type SuperResolutionCondition,
  superResolution,
  superResolutionConditioning,
  type UnetConfig,
  unet,
} from '@logsnr/networks';
import { type Network, shapesOf } from '@logsnr/nn';
import { loadCheckpoint, saveCheckpoint } from '@logsnr/runs';
import { ancestral, sample } from '@logsnr/samplers';
import { arctan, discrete, linearBetas } from '@logsnr/schedules';
import { backendInfo, native } from '@logsnr/tensorflow';
import { adam, disposeState, type TrainResult, train } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { random, randomised } from './modules.js';

const adm: UnetConfig = {
  ...{
    height: 8,
    width: 8,
    channels: 3,
    outputs: 6,
    classes: 3,
    nullClass: false,
    base: 8,
    multipliers: [1, 2],
    blocks: 1,
  },
  ...{ attention: [4], headChannels: 8, resample: 'residual', skipBias: true, groups: 4, dropout: 0.1 },
};
const transformer: DitConfig = {
  ...{ height: 8, width: 8, channels: 3, outputs: 6, classes: 3, patch: 2, size: 16, depth: 2, heads: 2 },
};

test('ancestral sampling takes the variance of six output channels as guided-diffusion does', () => {
  const network = unet(adm);
  const parameters = randomised(network);
  const condition = labels(3).of([2, 0]);
  const betas = linearBetas();
  const times = discrete(betas);
  const raw = (z: tf.Tensor, t: tf.Tensor1D, c: tf.Tensor1D) =>
    network.apply(parameters, { z, lambda: tf.div(t, 100) as tf.Tensor1D, condition: c });
  const model = discreteModel(raw, times, { variance: 'range' });
  const [first, second] = [700, 699];
  const options = { model, condition, sampler: ancestral(), shape: [2, 8, 8, 3], key: key(4) };
  const found = sample({ ...options, lambdas: [first, second].map((t) => times.lambdas[t] as number) });

  // p_mean_variance of ModelVarType.LEARNED_RANGE, one step from 700 to 699, then the estimate of x there.
  tf.tidy(() => {
    const at = (t: number) => betas.slice(0, t + 1).reduce((product, beta) => product * (1 - beta), 1);
    const estimate = (z: tf.Tensor, t: number) => {
      const [eps, range] = tf.split(raw(z, tf.fill([2], t), condition), 2, 3) as [tf.Tensor, tf.Tensor];
      const x = tf.sub(tf.mul(z, Math.sqrt(1 / at(t))), tf.mul(eps, Math.sqrt(1 / at(t) - 1)));
      return { x, share: tf.div(tf.add(range, 1), 2) };
    };
    const z = normal(fold(key(4), 0, 0), [2, 8, 8, 3]);
    const [beta, before] = [betas[first] as number, at(second)];
    const least = (beta * (1 - before)) / (1 - at(first));
    const { x, share } = estimate(z, first);
    const mean = tf.add(
      tf.mul(x, (beta * Math.sqrt(before)) / (1 - at(first))),
      tf.mul(z, ((1 - before) * Math.sqrt(1 - beta)) / (1 - at(first))),
    );
    const logVariance = tf.add(tf.mul(share, Math.log(beta)), tf.mul(tf.sub(1, share), Math.log(least)));
    const next = tf.add(mean, tf.mul(tf.exp(tf.mul(logVariance, 0.5)), normal(fold(key(4), 1, 0), [2, 8, 8, 3])));
    const expected = estimate(next, second).x;
    const worst = tf.max(tf.abs(tf.sub(found, expected))).dataSync()[0] as number;
    expect(worst / (tf.max(tf.abs(expected)).dataSync()[0] as number)).toBeLessThan(1e-4);
    // The share is no constant, so it matters which pixel has which.
    expect(tf.moments(share).variance.dataSync()[0] as number).toBeGreaterThan(1e-4);
  });
});

describe('a network that was trained for ten steps, saved and loaded goes on as if it had not stopped', () => {
  const runtime = backendInfo()?.backend === 'tensorflow' ? native() : eager;

  async function check<C>(
    network: Network<C>,
    shape: readonly number[],
    conditioning: Conditioning<C>,
    condition: () => C,
  ) {
    const options = {
      ...{
        network,
        conditioning,
        schedule: arctan(),
        optimizer: adam({ learningRate: 1e-3 }),
        emaDecay: 0.9,
        key: key(1),
      },
      batch: (step: number) => ({ images: random(step, 4, ...shape), condition: condition() }),
      ...{ pUncond: 0.2, runtime },
    };
    const bits = ({
      step,
      losses,
      ...state
    }: Pick<TrainResult, 'step' | 'losses' | 'parameters' | 'ema' | 'optimizer'>) => {
      const groups = [state.parameters, state.ema, state.optimizer].map((group) =>
        Object.entries(flatten<tf.Tensor>(group)).map(([path, value]) => [path, ...value.dataSync()]),
      );
      return { step, losses, groups };
    };
    const whole = await train({ ...options, steps: 13 });
    const folder = await mkdtemp(join(tmpdir(), 'logsnr-networks-'));
    try {
      const half = await train({ ...options, steps: 10 });
      const path = join(folder, 'checkpoint.safetensors');
      await saveCheckpoint(path, half);
      disposeState(half);
      const from = await loadCheckpoint(path, { shapes: shapesOf(network) });
      const rest = await train({ ...options, from, steps: 13 });
      expect(rest.losses).toHaveLength(13);
      expect(bits(rest)).toEqual(bits(whole));
      expect(new Set(rest.losses).size).toBe(13);
      disposeState(rest);
      disposeState(from as never);
    } finally {
      disposeState(whole);
      await rm(folder, { recursive: true });
    }
  }

  const digits = () => tf.tensor1d([0, 1, 2, 0], 'int32');
  test('ADM', () => check(unet({ ...adm, outputs: 3, nullClass: true }), [8, 8, 3], labels(3), digits));
  test('DiT', () => check(dit({ ...transformer, outputs: 3 }), [8, 8, 3], labels(3), digits));
  test('an MLP', () => check(mlp({ dimensions: 2, classes: 3, size: 16, depth: 2 }), [2], labels(3), digits));
  test('a network for super-resolution', () => {
    const network = superResolution({ ...adm, outputs: 3, nullClass: true, low: { height: 4, width: 4 }, noise: true });
    return check<SuperResolutionCondition>(network, [8, 8, 3], superResolutionConditioning(labels(3)), () => ({
      image: random(7, 4, 4, 4, 3),
      lambda: tf.tensor1d([1, 2, 3, 4]),
      label: digits(),
    }));
  });
});
