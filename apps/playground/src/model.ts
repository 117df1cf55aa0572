// The pre-trained model: model.json and model.safetensors, as `logsnr convert` writes them.
import { labels, type Prediction, type Schedule, unflatten } from '@logsnr/core';
import { decodeSafetensors } from '@logsnr/io';
import { bind, type UnetConfig, unet } from '@logsnr/networks';
import { type Network, type Parameters, shapesOf } from '@logsnr/nn';
import * as schedules from '@logsnr/schedules';
import { assertShapes } from '@logsnr/training';
import { type Tensor, type Tensor1D, tensor } from '@tensorflow/tfjs-core';
import type { ImageModel } from './drawing.js';

/** What the page reads of `model.json`. */
interface ModelRecord {
  readonly name: string;
  readonly network: { readonly kind: string; readonly config: UnetConfig };
  readonly prediction: Prediction;
  readonly nullLabel?: number | null;
  readonly schedule: { readonly name: string };
}

/** A kind of model without its weights, to train or to bind. */
export interface Kind extends Omit<ImageModel, 'model'> {
  readonly name: string;
  readonly network: Network<Tensor1D>;
  readonly prediction: Prediction;
  /** How many numbers the weights are. */
  readonly size: number;
}

/** The model that a kind is with these weights. */
export const withWeights = (kind: Kind, weights: Parameters): ImageModel => ({
  ...kind,
  model: bind(kind.network, weights, { prediction: kind.prediction }),
});

/** Loads the model of this build. @throws Error that says which file is missing, or does not fit. */
export async function loadModel(): Promise<{ kind: Kind; weights: Parameters }> {
  const [record, file] = await Promise.all([
    fetchFile('model/model.json').then((answer) => answer.json() as Promise<ModelRecord>),
    fetchFile('model/model.safetensors').then((answer) => answer.arrayBuffer()),
  ]);
  const kind = kindOf(record);
  const { tensors } = decodeSafetensors(new Uint8Array(file), 'model.safetensors');
  const own = Object.entries(tensors).map(([path, { shape, data }]) => [
    path,
    tensor(data as Float32Array, [...shape], 'float32'),
  ]);
  const flat: Record<string, Tensor> = Object.fromEntries(own);
  assertShapes(flat, shapesOf(kind.network));
  return { kind, weights: unflatten<Tensor>(flat) as Parameters };
}

export async function fetchFile(path: string): Promise<Response> {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path} did not load: ${answer.status} ${answer.statusText}.`);
  return answer;
}

function kindOf({ name, network: { kind, config }, prediction, nullLabel, schedule }: ModelRecord): Kind {
  if (kind !== 'unet') throw new RangeError(`the model is a ${kind}; the page runs models of kind unet.`);
  const network = unet(config);
  const { height, width, channels, classes } = config;
  return {
    ...{ name, network, prediction, schedule: scheduleOf(schedule), image: [height, width, channels] },
    conditioning: labels(classes, { nullLabel }),
    size: Object.values(shapesOf(network)).reduce((sum, shape) => sum + shape.reduce((a, b) => a * b, 1), 0),
  };
}

/** A schedule by the name of its function in @logsnr/schedules, and its options. */
function scheduleOf({ name, ...options }: ModelRecord['schedule']): Schedule {
  const make = (schedules as unknown as Record<string, ((options: object) => Schedule) | undefined>)[name];
  if (!make) throw new RangeError(`there is no schedule "${name}" in @logsnr/schedules.`);
  return make(options);
}
