import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { embeddings, epsOf, key, type Model, type ModelLike, readModel, settle } from '@logsnr/core';
import { apg, classifierFree, interval, negative } from '@logsnr/guidance';
import { decodeSafetensors } from '@logsnr/io';
import { sample, sampleAsync, unipc } from '@logsnr/samplers';
import { discrete, grid, scaledLinearBetas } from '@logsnr/schedules';
import * as tf from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-web';
import { describe, expect, test } from 'vitest';
import { type OnnxModelOptions, type OnnxSession, onnxModel } from './index.js';

const folder = fileURLToPath(new URL('../test/fixtures', import.meta.url));
const { tensors } = decodeSafetensors(readFileSync(`${folder}/expected.safetensors`));
const read = (name: string): tf.Tensor => {
  const { shape, data } = tensors[name] ?? { shape: [], data: new Float32Array() };
  return tf.tensor(data as Float32Array, [...shape]);
};
const last = (x: tf.Tensor) => tf.transpose(x, [0, 2, 3, 1]);
// One thread: its others would outlive the tests.
ort.env.wasm.numThreads = 1;
const session = await ort.InferenceSession.create(readFileSync(`${folder}/unet.onnx`));
const times = discrete(scaledLinearBetas());
const z = last(read('sample'));
const [text, other] = [read('encoder_hidden_states'), read('negative')];
const lambda = tf.tensor1d([...read('timestep').dataSync()].map((t) => times.lambdaOf(t)));
const options: OnnxModelOptions<tf.Tensor> = {
  ...{ session, Tensor: ort.Tensor, times },
  inputs: { sample: 'z', timestep: 'time', encoder_hidden_states: ({ condition }) => condition },
};
const model = onnxModel(options);
const texts = embeddings(tf.tidy(() => tf.squeeze(tf.slice(other, [0, 0, 0], [1, -1, -1]), [0])));

const apart = (a: tf.Tensor, b: tf.Tensor): number =>
  tf.tidy(() => tf.max(tf.abs(tf.sub(a, b))).dataSync()[0] as number);

test('ε̂ is what PyTorch gives, at the first time and the last, and for another text another', async () => {
  const before = tf.memory().numTensors;
  const eps = await settle(() => epsOf(model)(z, lambda, text));
  expect(tf.memory().numTensors).toBe(before + 1);
  expect(apart(eps, last(read('eps')))).toBeLessThan(1e-4);
  const without = await settle(() => epsOf(model)(z, lambda, other));
  expect(apart(without, last(read('eps_negative')))).toBeLessThan(1e-4);
  expect(apart(eps, without)).toBeGreaterThan(0.01);
});

describe('guided', () => {
  /** PyTorch's own values in the place of the network, for the two texts. */
  const table = readModel<tf.Tensor>((given, _, condition) => {
    const n = z.shape[0] as number;
    const parts = tf.split(condition, (given.shape[0] as number) / n);
    return tf.concat(parts.map((part) => last(read(apart(part, text) === 0 ? 'eps' : 'eps_negative'))));
  });
  const ways: Record<string, (like: ModelLike<tf.Tensor>) => Model<tf.Tensor>> = {
    'classifier-free, jointly': (like) => classifierFree(like, texts, 6.5),
    'classifier-free, in turn': (like) => classifierFree(like, texts, 6.5, { evaluation: 'split' }),
    'on an interval': (like) => classifierFree(like, texts, interval(6.5, { lambda: [-4, 4] })),
    'by APG': (like) => classifierFree(like, texts, 6.5, { rule: apg({ eta: 0, norm: 4, momentum: -0.5 }) }),
  };
  test.each(Object.entries(ways))('%s, ε̂ is what PyTorch’s values give', async (_, guided) => {
    const found = await settle(() => epsOf(guided(model))(z, lambda, text));
    const wanted = tf.tidy(() => epsOf(guided(table))(z, lambda, text));
    expect(apart(found, wanted)).toBeLessThan(1e-3);
    expect(apart(found, last(read('eps')))).toBeGreaterThan(0.01);
  });
});

test('UniPC walks with it: negative prompts, jointly and in turn, come to the same latents', async () => {
  const condition = { condition: text, negative: other };
  const given = {
    ...{ condition, sampler: unipc(), key: key(4), shape: z.shape },
    lambdas: grid(times.schedule, 6),
  };
  const before = tf.memory().numTensors;
  const found = await sampleAsync({ ...given, model: negative(model, texts, 3) });
  const again = await sampleAsync({ ...given, model: negative(model, texts, 3, { evaluation: 'split' }) });
  const plain = await sampleAsync({ ...given, model: negative(model, texts, 0) });
  expect(apart(found, again)).toBeLessThan(1e-4 * (1 + tf.tidy(() => tf.max(tf.abs(found)).dataSync()[0] as number)));
  expect(apart(found, plain)).toBeGreaterThan(0.01);
  tf.dispose([found, again, plain]);
  expect(tf.memory().numTensors).toBe(before);
  expect(() => sample({ ...given, model: negative(model, texts, 3) })).toThrow('sample with sampleAsync');
});

/** What a session does, for the network that gives 2z + t. */
const stand = (change: Partial<OnnxSession> = {}): OnnxSession => ({
  inputNames: ['z', 't'],
  outputNames: ['v'],
  async run(feeds) {
    const { z: image, t } = feeds as unknown as Record<string, { data: Float32Array; dims: number[] }>;
    const each = (image?.data.length ?? 0) / (t?.data.length ?? 1);
    const data = image?.data.map((value, i) => 2 * value + Number(t?.data[Math.floor(i / each)]));
    return { v: { type: 'float32', dims: image?.dims ?? [], data } };
  },
  ...change,
});
class Plain {
  constructor(
    readonly type: string,
    readonly data: unknown,
    readonly dims: readonly number[],
  ) {}
}
const plain: OnnxModelOptions<null> = { session: stand(), Tensor: Plain, inputs: { z: 'z', t: 'time' } };

test('without times a network gets λ, and its prediction is read as what it is', async () => {
  const x = tf.tensor2d([[1, 2]]);
  const wanted = epsOf(readModel<null>((z, l) => tf.add(tf.mul(z, 2), tf.reshape(l, [-1, 1])), { prediction: 'v' }));
  const [l, model] = [tf.tensor1d([0.5]), onnxModel({ ...plain, prediction: 'v' })];
  const found = await settle(() => epsOf(model)(x, l, null));
  expect([...found.dataSync()]).toEqual([...wanted(x, l, null).dataSync()]);
});

test('images go in with the channels where the network has them, and whole times as int64', async () => {
  const seen: Plain[] = [];
  const inputMetadata = [
    { name: 'z', type: 'float32' },
    { name: 't', type: 'int64' },
  ];
  const { run } = stand();
  const session = stand({
    inputMetadata,
    run(feeds, fetches) {
      seen.push(...(Object.values(feeds) as unknown as Plain[]));
      return run(feeds, fetches);
    },
  });
  const image = tf.tensor4d([1, 2, 3, 4, 5, 6], [1, 1, 3, 2]);
  const l = tf.tensor1d([times.lambdaOf(400.3)]);
  const whole = onnxModel({ ...plain, session, times, round: true, prediction: 'eps' });
  const eps = await settle(() => epsOf(whole)(image, l, null));
  expect([...eps.dataSync()]).toEqual([1, 2, 3, 4, 5, 6].map((value) => 2 * value + 400));
  expect(seen.map(({ type, dims }) => [type, dims])).toEqual([
    ['float32', [1, 2, 1, 3]],
    ['int64', [1]],
  ]);
  expect([...(seen[0] as Plain & { data: Float32Array }).data]).toEqual([1, 3, 5, 2, 4, 6]);
  const last = onnxModel({ ...plain, session, times, round: true, layout: 'NHWC' });
  await settle(() => epsOf(last)(image, l, null));
  expect(seen[2]?.dims).toEqual([1, 1, 3, 2]);
  const fraction = onnxModel({ ...plain, session, times });
  await expect(settle(() => epsOf(fraction)(image, l, null))).rejects.toThrow('whole times come with { round: true }');
});

test.each<[string, Partial<OnnxModelOptions<null>>, string]>([
  ['a name too few', { inputs: { z: 'z' } }, 'inputs name z, and the network has z, t; say of each'],
  ['a name too many', { inputs: { z: 'z', t: 'time', w: 'time' } }, 'inputs name z, t, w, and the network has z, t'],
  ['no such output', { output: 'eps' }, 'output is "eps"; it must be one of v.'],
  ['no output said', { session: stand({ outputNames: ['a', 'b'] }) }, 'output is left out; it must be one of a, b.'],
  [
    'half precision',
    { session: stand({ inputMetadata: [{ name: 'z', type: 'float16' }] }) },
    'the input "z" has the type float16',
  ],
  ['another layout', { layout: 'CHWN' as never }, 'layout is "CHWN"'],
])('%s is refused before any work', (_, change, message) => {
  expect(() => onnxModel({ ...plain, ...change })).toThrow(message);
});

test('an output of another type or shape is refused', async () => {
  const giving = (data: unknown, dims: number[]) =>
    onnxModel({ ...plain, session: stand({ run: async () => ({ v: { type: 'int32', data, dims } }) }) });
  const [x, l] = [tf.zeros([1, 2]), tf.tensor1d([0])];
  const before = tf.memory().numTensors;
  const ask = (model: Model<null>) => settle(() => epsOf(model)(x, l, null));
  await expect(ask(giving(new Int32Array(2), [1, 2]))).rejects.toThrow('"v" is of type int32; it must be float32');
  await expect(ask(giving(new Float32Array(3), [1, 3]))).rejects.toThrow("the model's output has shape [1, 3]");
  expect(tf.memory().numTensors).toBe(before);
});
