// A look at a run on its way: ten digits at w = 1, from the same noise each time.
import { type Key, type Runtime, readModel } from '@logsnr/core';
import { encodePng, imageGrid } from '@logsnr/figures';
import { classifierFree } from '@logsnr/guidance';
import { ddim, sample } from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import type { TrainingState } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { classes, network, schedule } from './digits.js';

/** What the `samples` of a run folder draw. The weights are arguments, so one graph serves every time. */
export function glimpseOf(runtime: Runtime, key: Key) {
  const raw = runtime.jit(network.apply);
  return ({ ema = {} }: TrainingState) => {
    const drawn = tf.tidy(() => {
      const model = readModel<tf.Tensor1D>((z, lambda, c) => raw(ema, { z, lambda, condition: c }), {
        prediction: 'v',
      });
      const condition = classes.of([...Array(10).keys()]);
      const of = { lambdas: grid(schedule, 16), shape: [10, 28, 28, 1], key };
      return sample({ model: classifierFree(model, classes, 1), condition, sampler: ddim(), ...of });
    });
    const picture = imageGrid(drawn as tf.Tensor4D, { columns: 10, scale: 3 });
    drawn.dispose();
    return { png: encodePng(picture), width: picture.width, height: picture.height };
  };
}
