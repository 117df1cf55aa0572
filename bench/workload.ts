import { readFileSync } from 'node:fs';
import { bind, eager, key, labels, type Parameters, type Runtime } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { unet } from '@logsnr/networks';
import { compileSampler, ddim, sample } from '@logsnr/samplers';
import { type CompileOptions, type GraphLoader, native } from '@logsnr/tensorflow';
import { adam, decodeSafetensors, diffusionLoss, layout, trainStep } from '@logsnr/training';
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
  const parameters = read(job.weights);
  const inputs = read(job.inputs, job.batch) as Inputs;
  const { z, lambda, labels: condition } = inputs;
  const count = Object.values(parameters).reduce((sum, { size }) => sum + size, 0);
  const of = (step: () => tf.Tensor): Workload => ({ parameters: count, ...latest(step) });

  if (job.case === 'forward') {
    const apply = (z: tf.Tensor, lambda: tf.Tensor, c: tf.Tensor1D) => network.apply(parameters, z, lambda, c);
    const forward = runtime.jit(apply);
    return of(() => forward(z, lambda, condition));
  }
  if (job.case === 'train') return of(training(job, parameters, inputs, runtime));

  const model = classifierFree(bind(network, parameters, 'v'), classes, job.w);
  const draw = { condition, lambdas: job.lambdas, shape: z.shape, key: key(0), z };
  const sampler = ddim();
  if (!precision) return of(() => sample({ ...draw, model, sampler }));
  const compiled = compileSampler(runtime, { model, sampler });
  return of(() => compiled.sample(draw));
}

type Inputs = Record<'z' | 'x' | 'eps', tf.Tensor> & Record<'lambda' | 'labels' | 'dropped', tf.Tensor1D>;

function training(job: Job, parameters: Parameters, inputs: Inputs, runtime: Runtime) {
  const network = unet(job.config);
  const conditioning = labels(job.config.classes);
  const optimizer = adam({ learningRate: job.learningRate });
  const shapes = layout(network.shapes);
  const { x, eps, lambda, labels: condition, dropped } = inputs;
  const data = { x, eps, lambda, condition, dropped };
  const step = trainStep<typeof data>({
    layout: shapes,
    optimizer,
    loss: (weights, data) =>
      diffusionLoss({
        model: (z, lambda, condition) => network.apply(weights, z, lambda, condition),
        prediction: 'v',
        conditioning,
        ...data,
      }),
  });
  const weights = shapes.pack(parameters);
  let t = 0;
  const scalars = () =>
    Object.fromEntries(Object.entries(optimizer.scalars(t++)).map(([name, value]) => [name, tf.scalar(value)]));
  const session = runtime.session(step, { weights, ...optimizer.init({ weights }) } as Parameters);
  return () => {
    const given = { data, scalars: scalars() };
    const { loss, norm } = session.run(given);
    tf.dispose([given.scalars, norm] as unknown as tf.TensorContainer);
    return loss;
  };
}

/** Tensors of a file; with `batch` the first rows alone. */
function read(file: string, batch?: number): Record<string, tf.Tensor> {
  const { tensors } = decodeSafetensors(readFileSync(file), file);
  return Object.fromEntries(
    Object.entries(tensors).map(([name, { shape, data }]) => {
      const whole = batch === undefined ? [...shape] : [batch, ...shape.slice(1)];
      const size = whole.reduce((product, length) => product * length, 1);
      return [name, tf.tensor(data.slice(0, size), whole, data instanceof Int32Array ? 'int32' : 'float32')];
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
