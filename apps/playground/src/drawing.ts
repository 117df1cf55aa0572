// What the digits' form asks for, as a walk of the library.
import { fold, key, type Labels, type Model, type Schedule } from '@logsnr/core';
import { guidanceOf } from '@logsnr/guidance';
import { type Step, trajectory } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { guidanceAt, samplerOf } from './methods.js';

/** A model of images, and what it is sampled with. */
export interface ImageModel {
  readonly model: Model<Tensor1D>;
  readonly conditioning: Labels;
  readonly schedule: Schedule;
  /** Height, width and channels. */
  readonly image: readonly [number, number, number];
}

export interface Drawing {
  /** A digit, or `all` for 0, 1, 2, … in turn. */
  readonly class: string;
  readonly w: number;
  readonly sampler: string;
  readonly guidance: string;
  readonly steps: number;
  readonly seed: number;
  readonly count: number;
}

/** The labels of the images, in their order. */
export const labelsOf = ({ class: asked, count }: Drawing, classes: number): number[] =>
  Array.from({ length: count }, (_, i) => (asked === 'all' ? i % classes : Number(asked)));

/** The steps of a drawing. Image i is that of `logsnr sample` with the same settings, but for rounding. */
export function* walkOf({ model, conditioning, schedule, image }: ImageModel, drawing: Drawing): Generator<Step> {
  const { w, sampler, guidance, steps, seed, count } = drawing;
  const lambdas = grid(schedule, steps);
  const guided = guidanceOf(guidanceAt(guidance, w), { model, conditioning, lambdas });
  const condition = conditioning.of(labelsOf(drawing, conditioning.classes));
  const shape = [count, ...image];
  try {
    yield* trajectory({
      ...{ model: guided, condition, sampler: samplerOf(sampler), lambdas, shape },
      key: fold(key(seed), 4),
    });
  } finally {
    condition.dispose();
  }
}
