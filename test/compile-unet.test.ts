import { eager, epsOf, fold, key, labels, mapLeaves, normal, tensorsOf } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { bind, unet } from '@logsnr/networks';
import { compileSampler, ddim, sample } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { backendInfo, compile, native, nativeBackend } from '@logsnr/tensorflow';
import {
  adam,
  diffusionLoss,
  ema,
  layoutOf,
  numbersOf,
  packState,
  type StepInputs,
  type StepParts,
  train,
  trainStep,
} from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';

// The whole of training and guided sampling, operation by operation and compiled, on a small U-Net with attention.
const network = unet({
  height: 8,
  width: 8,
  channels: 1,
  classes: 4,
  base: 8,
  multipliers: [1, 2],
  blocks: 1,
  attention: [4],
  groups: 4,
});
const classes = labels(4);
const schedule = arctan({ lambdaMin: -12, lambdaMax: 12 });
const difference = (a: tf.Tensor, b: tf.Tensor) => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] as number;
const options = {
  network,
  prediction: 'v' as const,
  conditioning: classes,
  schedule,
  batch: (_: number, k: ReturnType<typeof key>) => ({
    images: normal(k, [8, 8, 8, 1]),
    condition: classes.of([0, 1, 2, 3, 0, 1, 2, 3]),
  }),
  optimizer: adam({ learningRate: 3e-3, clipNorm: 1 }),
  emaDecay: 0.9,
  key: key(1),
  steps: 20,
};

describe.runIf(backendInfo()?.backend === 'tensorflow')('compiled and eager agree', () => {
  test('losses over 20 Adam steps to 1e-4, in whichever order they are compiled', async () => {
    const plain = await train(options);
    for (const rest of [{ runtime: native() }, { runtime: native() }]) {
      const { losses } = await train({ ...options, ...rest });
      losses.forEach((loss, i) => {
        expect(Math.abs(loss - (plain.losses[i] as number))).toBeLessThan(1e-4);
      });
    }
    expect(plain.losses[19]).not.toBe(plain.losses[0]);
  });

  test('a step with its state in variables is the same step', () => {
    const parameters = network.init(key(2));
    const optimizer = adam({ learningRate: 3e-3 });
    const layout = layoutOf(parameters, optimizer);
    const data = {
      x: normal(key(3), [4, 8, 8, 1]),
      condition: classes.of([0, 1, 2, 3]),
      lambda: tf.tensor1d([-3, 0, 1, 4]),
      eps: normal(key(4), [4, 8, 8, 1]),
      dropped: tf.tensor1d([0, 0, 1, 0]),
    };
    const parts: StepParts<typeof data> = {
      layout,
      optimizer,
      averages: { slow: ema(0.9) },
      loss: (weights, data) =>
        diffusionLoss({
          model: (z, lambda, condition) => network.apply(weights, { z, lambda, condition }),
          prediction: 'v',
          conditioning: classes,
          ...data,
        }),
    };
    const first = packState({ step: 0, parameters }, { layout, optimizer, averages: ['slow'], accumulate: 1 });
    const [compiled, plain] = [native(), eager].map((runtime) => runtime.session(trainStep(parts), first));
    for (let t = 0; t < 20; t++) {
      const scalars = mapLeaves(numbersOf(parts, t), (value) => tf.scalar(value as number));
      const inputs = { data, scalars: scalars as StepInputs<typeof data>['scalars'] };
      const [one, other] = [compiled?.run(inputs), plain?.run(inputs)];
      expect(difference(one?.loss as tf.Tensor, other?.loss as tf.Tensor)).toBeLessThan(1e-4);
    }
    const [states, own] = [compiled?.read(), plain?.read()].map((state) => tensorsOf(state));
    expect(states).toHaveLength(4); // weights, m, v and the average
    states?.forEach((tensor, i) => {
      expect(difference(tensor, own?.[i] as tf.Tensor)).toBeLessThan(2e-3);
    });
    compiled?.dispose();
    plain?.dispose();
  });

  test('forward to 1e-5 and guided samples of the same seed to 1e-3', async () => {
    const { ema } = await train({ ...options, runtime: native() });
    const model = classifierFree(bind(network, ema, { prediction: 'v' }), classes, 2);
    const condition = classes.of([0, 1, 2]);
    const [z, lambda] = [normal(key(5), [3, 8, 8, 1]), tf.tensor1d([-4, 0, 4])];
    expect(difference(compile(epsOf(model))(z, lambda, condition), epsOf(model)(z, lambda, condition))).toBeLessThan(
      1e-5,
    );

    const draw = { condition, lambdas: grid(schedule, 20), shape: [3, 8, 8, 1], key: fold(key(6), 1) };
    const drawing = compileSampler(native(), { model, sampler: ddim() });
    expect(difference(drawing.sample(draw), sample({ ...draw, model, sampler: ddim() }))).toBeLessThan(1e-3);
    drawing.dispose();
  });

  test('memory stays flat over 1,000 steps and 1,000 samples', async () => {
    const model = classifierFree(bind(network, network.init(key(7)), { prediction: 'v' }), classes, 2);
    const drawing = compileSampler(native(), { model, sampler: ddim() });
    const condition = classes.of(Array.from({ length: 100 }, (_, i) => i % 4));
    const draw = (i: number) =>
      drawing
        .sample({ condition, lambdas: [-4, 0, 4], shape: [100, 8, 8, 1], key: key(8), firstSample: 100 * i })
        .dispose();
    const measure = () => [
      tf.memory().numTensors,
      nativeBackend().binding.getNumOfTensors(),
      process.memoryUsage().rss,
    ];
    let before: number[] = [];
    await train({
      ...options,
      runtime: native(),
      steps: 1100,
      onStep({ step }) {
        if (step === 100) draw(0);
        if (step === 100) before = measure();
        if (step > 100 && step % 100 === 0) draw(step / 100);
        if (step !== 1100) return;
        const [tensors, handles, rss] = measure();
        expect([tensors, handles]).toEqual(before.slice(0, 2));
        expect((rss as number) - (before[2] as number)).toBeLessThan(64 * 2 ** 20);
      },
    });
    drawing.dispose();
  });
});
