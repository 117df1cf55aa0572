// This project's Inception in a process of its own: answers one line of JSON for each line that it is sent.
import { createInterface } from 'node:readline';
import { inceptionExtractor, inceptionFile } from '@logsnr/evaluation/node';
import { native, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';

const info = await useBackend({ backend: 'tensorflow', quiet: true });
const extractor = await inceptionExtractor({ runtime: native() });
let images = tf.zeros([1, 32, 32, 3]) as tf.Tensor4D;

/** The same bytes in every racer: a multiplicative generator of Lehmer's. */
function bytesOf(count: number): Float32Array {
  let state = 1;
  return Float32Array.from({ length: count }, () => {
    state = (48_271 * state) % 2_147_483_647;
    return (state % 256) / 127.5 - 1;
  });
}

function run(): Float32Array {
  const { features } = extractor.read(images);
  const values = features.dataSync<'float32'>();
  features.dispose();
  return values;
}

async function answer({ cmd, batch }: { cmd: string; batch?: number }): Promise<object> {
  if (cmd === 'load') {
    const count = batch as number;
    images = tf.tensor4d(bytesOf(count * 3072), [count, 32, 32, 3]);
    return { weights: await inceptionFile(), version: `TensorFlow ${info.tensorflow}, ${info.threads} threads` };
  }
  if (cmd === 'features') return { features: [...run()] };
  if (cmd === 'memory') return { peakMiB: process.resourceUsage().maxRSS / 1024 };
  const [start, before] = [performance.now(), process.cpuUsage()];
  run();
  const { user, system } = process.cpuUsage(before);
  return { ms: performance.now() - start, cpuMs: (user + system) / 1000 };
}

for await (const line of createInterface({ input: process.stdin }))
  console.log(JSON.stringify(await answer(JSON.parse(line)).catch((error: Error) => ({ error: error.message }))));
