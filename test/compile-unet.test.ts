import { bind, epsOf, fold, key, labels, normal, type Parameters } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { unet } from '@logsnr/networks';
import { compileSampler, ddim, sample } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { backendInfo, compile, native, nativeBackend, session } from '@logsnr/tensorflow';
import { adam, diffusionLoss, layout, train, trainStep } from '@logsnr/training';
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
    const eager = await train(options);
    for (const rest of [{ runtime: native() }, { runtime: native() }]) {
      const { losses } = await train({ ...options, ...rest });
      losses.forEach((loss, i) => {
        expect(Math.abs(loss - (eager.losses[i] as number))).toBeLessThan(1e-4);
      });
    }
    expect(eager.losses[19]).not.toBe(eager.losses[0]);
  });

  test('a step with its state in variables is the same step', () => {
    const parameters = network.init(key(2));
    const parts = layout(network.shapes);
    const optimizer = adam({ learningRate: 3e-3 });
    const weights = parts.pack(parameters);
    const first = { weights, ...optimizer.init({ weights }) } as Parameters;
    const step = trainStep({
      layout: parts,
      optimizer,
      loss: (
        weights,
        data: { x: tf.Tensor; condition: tf.Tensor1D; lambda: tf.Tensor1D; eps: tf.Tensor; dropped: tf.Tensor1D },
      ) =>
        diffusionLoss({
          model: (z, lambda, condition) => network.apply(weights, z, lambda, condition),
          prediction: 'v',
          conditioning: classes,
          ...data,
        }),
    });
    const data = {
      x: normal(key(3), [4, 8, 8, 1]),
      condition: classes.of([0, 1, 2, 3]),
      lambda: tf.tensor1d([-3, 0, 1, 4]),
      eps: normal(key(4), [4, 8, 8, 1]),
      dropped: tf.tensor1d([0, 0, 1, 0]),
    };
    const compiled = session(step, first);
    let state: Parameters = first;
    for (let t = 0; t < 20; t++) {
      const scalars = Object.fromEntries(
        Object.entries(optimizer.scalars(t)).map(([name, value]) => [name, tf.scalar(value)]),
      );
      const eager = step(state, { data, scalars });
      state = eager.state;
      expect(difference(compiled.run({ data, scalars }).loss, eager.result.loss)).toBeLessThan(1e-4);
    }
    expect(difference(compiled.read().weights as tf.Tensor, state.weights as tf.Tensor)).toBeLessThan(2e-3);
    compiled.dispose();
  });

  test('forward to 1e-5 and guided samples of the same seed to 1e-3', async () => {
    const { ema } = await train({ ...options, runtime: native() });
    const model = classifierFree(bind(network, ema, 'v'), classes, 2);
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
    const model = classifierFree(bind(network, network.init(key(7)), 'v'), classes, 2);
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
