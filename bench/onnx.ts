// What sampling with an ONNX network costs beside onnxruntime alone, and how long the event loop is held up:
//   pnpm bench:onnx [--file FILE] [--runtime MODULE] [--steps 20] [--batch 1] [--rounds 5]
// FILE is a U-Net of `parity/onnx_models.py`. MODULE is onnxruntime-web, or the path of another, such as onnxruntime-node.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { embeddings, key, normal } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { onnxModel } from '@logsnr/onnx';
import { sampleAsync, unipc } from '@logsnr/samplers';
import { discrete, grid, scaledLinearBetas } from '@logsnr/schedules';
import { useBackend } from '@logsnr/tensorflow';
import { type Tensor, zeros } from '@tensorflow/tfjs-core';

const { values } = parseArgs({
  options: {
    file: { type: 'string', default: 'packages/onnx/test/fixtures/unet.onnx' },
    runtime: { type: 'string', default: 'onnxruntime-web' },
    steps: { type: 'string', default: '20' },
    batch: { type: 'string', default: '1' },
    rounds: { type: 'string', default: '5' },
  },
});
const [steps, batch, rounds] = [Number(values.steps), Number(values.batch), Number(values.rounds)];
await useBackend({ quiet: true });
const loaded = await import(values.runtime);
const ort: typeof import('onnxruntime-web') = loaded.InferenceSession ? loaded : loaded.default;
const session = await ort.InferenceSession.create(readFileSync(values.file));
const shapeOf = (name: string): number[] => {
  const found = session.inputMetadata.find((input) => input.name === name);
  return found?.isTensor ? found.shape.slice(1).map(Number) : [];
};
const [channels = 0, height = 0, width = 0] = shapeOf('sample');
const text = shapeOf('encoder_hidden_states');

const times = discrete(scaledLinearBetas());
const model = classifierFree(
  onnxModel<Tensor>({
    ...{ session, Tensor: ort.Tensor, times },
    inputs: { sample: 'z', timestep: 'time', encoder_hidden_states: ({ condition }) => condition },
  }),
  embeddings<Tensor>(zeros(text)),
  2,
);
const condition = normal(key(1), [batch, ...text]);
const walk = async (): Promise<void> => {
  const lambdas = grid(times.schedule, steps);
  const shape = [batch, height, width, channels];
  (await sampleAsync({ model, condition, sampler: unipc(), lambdas, shape, key: key(2) })).dispose();
};
/** The same evaluations, of both predictions in one batch, by onnxruntime alone. */
const alone = async (): Promise<void> => {
  const tensor = (shape: number[]) =>
    new ort.Tensor('float32', normal(key(3), [2 * batch, ...shape]).dataSync() as Float32Array, [2 * batch, ...shape]);
  const [sample, states] = [tensor([channels, height, width]), tensor(text)];
  for (let step = 0; step < steps; step++) {
    const timestep = new ort.Tensor('float32', new Float32Array(2 * batch).fill(step), [2 * batch]);
    await session.run({ sample, timestep, encoder_hidden_states: states });
  }
};
const timed = async (work: () => Promise<void>): Promise<number> => {
  const start = performance.now();
  await work();
  return (performance.now() - start) / steps;
};
const median = (of: number[]): number => of.sort((a, b) => a - b)[of.length >> 1] as number;

await walk();
await alone();
const [ours, theirs]: [number[], number[]] = [[], []];
for (let round = 0; round < rounds; round++) {
  theirs.push(await timed(alone));
  ours.push(await timed(walk));
}
let [before, gap] = [performance.now(), 0];
const timer = setInterval(() => {
  const now = performance.now();
  gap = Math.max(gap, now - before);
  before = now;
}, 1);
await walk();
clearInterval(timer);
const [a, b] = [median(theirs), median(ours)];
console.log(
  `${values.file}, ${values.runtime}: a guided step ${b.toFixed(2)} ms, its evaluation by onnxruntime alone ${a.toFixed(2)} ms, ` +
    `so ${((100 * (b - a)) / a).toFixed(1)} % more; the event loop was held up for ${gap.toFixed(1)} ms at most.`,
);
process.exit();
