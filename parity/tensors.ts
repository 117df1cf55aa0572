import { useBackend } from '@logsnr/tensorflow';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import type { Arithmetic } from './loop.js';

/** Float32 tensors of shape [4, 192] on the native backend. */
export async function onTensors(): Promise<Arithmetic<Tensor>> {
  await useBackend({ quiet: true });
  return {
    of: (numbers) => tensor(Float32Array.from(numbers), [4, numbers.length / 4], 'float32'),
    read: (value) => Float64Array.from(value.dataSync()),
    free: (value) => value.dispose(),
  };
}
