import { readFileSync } from 'node:fs';
import { eager, free, key, labels, mapLeaves, type Prediction, type Runtime, unflatten } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { decodeSafetensors } from '@logsnr/io';
import { bind, unet } from '@logsnr/networks';
import type { Network, Parameters } from '@logsnr/nn';
import { compileSampler, ddim, sample } from '@logsnr/samplers';
import { type CompileOptions, type GraphLoader, native } from '@logsnr/tensorflow';
import {
  adam,
  diffusionLoss,
  ema,
  layoutOf,
  numbersOf,
  packState,
  type StepInputs,
  type StepParts,
  trainStep,
} from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import type { Job } from './cases.js';

/** Something to time. Each call ends by reading a number of the result, so that all of the work is in the call. */
export interface Workload {
  parameters: number;
  run(): void;
  /** Numbers of the latest result, for comparing variants: of a step the loss, else the first sample. */
  result(): number[];
}

/** Loads a job: operation by operation without `precision`, else compiled. Tensors live as long as the process. */
export function load(job: Job, precision?: CompileOptions['precision'], loader?: GraphLoader): Workload {
  const runtime = precision ? native({ precision, ...(loader ? { loader } : {}) }) : eager;
  const network = unet(job.config);
  const classes = labels(job.config.classes);
  const flat = read(job.weights);
  const parameters = unflatten<tf.Tensor>(flat) as Parameters;
  const inputs = read(job.inputs, job.batch) as Inputs;
  const { z, lambda, labels: condition } = inputs;
  const count = Object.values(flat).reduce((sum, { size }) => sum + size, 0);
  const of = (step: () => tf.Tensor): Workload => ({ parameters: count, ...latest(step) });

  if (job.case === 'forward') {
    const apply = (z: tf.Tensor, lambda: tf.Tensor1D, condition: tf.Tensor1D) =>
      network.apply(parameters, { z, lambda, condition });
    const forward = runtime.jit(apply);
    return of(() => forward(z, lambda, condition));
  }
  if (job.case === 'train')
    return of(training({ ...job, network, prediction: 'v', classes: job.config.classes }, parameters, inputs, runtime));

  const model = classifierFree(bind(network, parameters, { prediction: 'v' }), classes, job.w);
  const draw = { condition, lambdas: job.lambdas, shape: z.shape, key: key(0), z };
  const sampler = ddim();
  if (!precision) return of(() => sample({ ...draw, model, sampler }));
  const compiled = compileSampler(runtime, { model, sampler });
  return of(() => compiled.sample(draw));
}

type Inputs = Record<'z' | 'x' | 'eps', tf.Tensor> & Record<'lambda' | 'labels' | 'dropped', tf.Tensor1D>;

export interface Trained {
  readonly network: Network<tf.Tensor1D>;
  readonly prediction: Prediction;
  /** What the network takes as conditions; 1 class where it takes none. */
  readonly classes: number;
  readonly learningRate: number;
  readonly emaDecay: number;
}

/**
 * `train`'s own step in its own session, with the average of the weights that `train` keeps. It takes the parameters over.
 */
export function training(
  { network, prediction, classes, learningRate, emaDecay }: Trained,
  parameters: Parameters,
  { x, eps, lambda, labels: condition, dropped }: Omit<Inputs, 'z'>,
  runtime: Runtime,
): () => tf.Tensor {
  const conditioning = labels(classes);
  const optimizer = adam({ learningRate });
  const data = { x, eps, lambda, condition, dropped };
  const layout = layoutOf(parameters, optimizer);
  const parts: StepParts<typeof data> = {
    layout,
    optimizer,
    averages: { ema: ema(emaDecay) },
    loss: (weights, data) =>
      diffusionLoss({
        model: (z, lambda, condition) => network.apply(weights, { z, lambda, condition }),
        prediction,
        conditioning,
        ...data,
      }),
  };
  const first = packState({ step: 0, parameters }, { layout, optimizer, averages: ['ema'], accumulate: 1 });
  const session = runtime.session(trainStep(parts), first);
  // The session has the state now.
  free([parameters, first]);
  let t = 0;
  return () => {
    const scalars = mapLeaves(numbersOf(parts, t++), (value) => tf.scalar(value as number));
    const { loss, norm } = session.run({ data, scalars: scalars as StepInputs<typeof data>['scalars'] });
    tf.dispose([scalars, norm] as unknown as tf.TensorContainer);
    return loss;
  };
}

/** Tensors of a file; with `batch` the first rows alone. */
export function read(file: string, batch?: number): Record<string, tf.Tensor> {
  const { tensors } = decodeSafetensors(readFileSync(file), file);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => {
      const whole = batch === undefined ? [...shape] : [batch, ...shape.slice(1)];
      const size = whole.reduce((product, length) => product * length, 1);
      return [
        name,
        tf.tensor(data.slice(0, size) as Float32Array, whole, data instanceof Int32Array ? 'int32' : 'float32'),
      ];
    }),
  );
}

/** Runs a step and keeps its result until the next. */
function latest(step: () => tf.Tensor): Omit<Workload, 'parameters'> {
  let last: tf.Tensor | undefined;
  return {
    run() {
      last?.dispose();
      last = step();
      const one = tf.tidy(() => tf.slice(tf.reshape(last as tf.Tensor, [-1]), 0, 1));
      one.dataSync();
      one.dispose();
    },
    result() {
      const { shape = [], size = 0 } = last ?? {};
      return [...(last?.dataSync() ?? [])].slice(0, shape.length > 0 ? size / (shape[0] as number) : 1);
    },
  };
}
