import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { epsOf, flatten, fold, free, key, normal } from '@logsnr/core';
import { classifierFree, classifierGuidance } from '@logsnr/guidance';
import { decodeSafetensors } from '@logsnr/io';
import { withTensors } from '@logsnr/io/node';
import {
  type NetworkSpec,
  type NoisyClassifierConfig,
  preset,
  type SuperResolutionConfig,
  type UnetConfig,
} from '@logsnr/networks';
import type { Network, Parameters } from '@logsnr/nn';
import { compileSampler, ddim, sample } from '@logsnr/samplers';
import { arctan, type DiscreteTimes, discrete, grid, linearBetas } from '@logsnr/schedules';
import { native } from '@logsnr/tensorflow';
import { adam, disposeState, train } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { difference } from '../../../test/modules.js';
import { namedOf } from './check-headings.js';
import { loadClassifier, loadModel, loadParameters, type Peer, saveParameters } from './index.js';
import type { Mapping } from './mapping.js';
import { mappingsOf } from './networks.js';
import { withWeights } from './open.js';

// Files by the peers' own modules and save functions, and what those modules give: parity/pretrained.py.
const fixture = (name: string) => fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url));
const { tensors: expected } = decodeSafetensors(await readFile(fixture('expected.safetensors')));
const read = (name: string, part: string): tf.Tensor | undefined => {
  const found = expected[`${name}.${part}`];
  return found && tf.tensor(found.data as Float32Array, [...found.shape], part === 'labels' ? 'int32' : 'float32');
};
const given = <T extends tf.Tensor>(name: string, part: string): T => read(name, part) as T;

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-checkpoints-'));
});
afterEach(() => rm(folder, { recursive: true }));

const adm: UnetConfig = {
  ...{ height: 8, width: 8, channels: 3, outputs: 6, classes: 4, nullClass: false, base: 4, multipliers: [1, 2] },
  ...{ blocks: 1, attention: [4], headChannels: 4, resample: 'residual', skipBias: true, groups: 2 },
  time: { betas: 'linear' },
};
const { outputs: _, ...half } = adm;
const classifier: NoisyClassifierConfig = { ...half, pool: 'attention' };
const upsampler: SuperResolutionConfig = { ...adm, low: { height: 4, width: 4 } };
const range = { prediction: 'eps', variance: 'range' } as const;

interface Loaded {
  readonly network: Pick<Network<unknown>, 'apply'>;
  readonly spec: NetworkSpec;
  readonly parameters: Parameters;
  readonly times?: DiscreteTimes | undefined;
  dispose(): void;
}

const DIT = { height: 4, width: 4, channels: 2, outputs: 4, classes: 4, patch: 2, size: 8, depth: 2, heads: 2 };

/** Each fixture: how it is loaded, whose it is, and where its file is. */
const files: readonly (readonly [string, Peer, string, () => Promise<Loaded>])[] = [
  [
    ...(['adm', 'guided-diffusion', 'adm.pt'] as const),
    () => loadModel({ network: { kind: 'unet', config: adm }, ...range, attentionOrder: 'new' }, fixture('adm.pt')),
  ],
  [
    ...(['adm-upsampler', 'guided-diffusion', 'adm-upsampler.pt'] as const),
    () =>
      loadModel({ network: { kind: 'super-resolution', config: upsampler }, ...range }, fixture('adm-upsampler.pt')),
  ],
  [
    ...(['adm-classifier', 'guided-diffusion', 'adm-classifier.pt'] as const),
    () => loadClassifier({ network: { kind: 'noisy-classifier', config: classifier } }, fixture('adm-classifier.pt')),
  ],
  [
    ...(['dit', 'dit', 'dit.pt'] as const),
    () =>
      loadModel(
        { network: { kind: 'dit', config: { ...DIT, time: { betas: 'linear' } } }, ...range },
        fixture('dit.pt'),
      ),
  ],
  ['diffusers-dit', 'diffusers', 'diffusers-dit/transformer', () => loadModel(fixture('diffusers-dit'))],
  ['diffusers-unet', 'diffusers', 'diffusers-unet/unet', () => loadModel(fixture('diffusers-unet'), { nullLabel: 10 })],
  ['diffusers-ddpm', 'diffusers', 'diffusers-ddpm', () => loadModel(fixture('diffusers-ddpm'))],
  ['diffusers-residual', 'diffusers', 'diffusers-residual', () => loadModel(fixture('diffusers-residual'))],
];

/** Loads a fixture and writes its peer's file of it into `folder`. */
async function writeBack(name: string, as: Peer, load: () => Promise<Loaded>) {
  const place = as === 'diffusers' ? join(folder, name) : folder;
  await mkdir(place, { recursive: true });
  const path = join(place, as === 'diffusers' ? 'diffusion_pytorch_model.safetensors' : `${name}.pt`);
  const { spec, parameters, dispose } = await load();
  await saveParameters(spec, parameters, path, { as, attentionOrder: name === 'adm' ? 'new' : undefined });
  dispose();
  return { place, path };
}

/** The tensors of a file or a folder, by name. */
const contents = (of: typeof withTensors, path: string) =>
  of(path, async ({ entries, values }) => {
    const found = entries.map(async ({ name, shape }) => ({ name, shape, data: await values({ name }) }));
    return (await Promise.all(found)).sort((a, b) => (a.name < b.name ? -1 : 1));
  });

describe.each(files)('%s', (name, peer, path, load) => {
  test("gives the peer's output", async () => {
    const before = tf.memory().numTensors;
    const { network, parameters, times = discrete(linearBetas()), dispose } = await load();
    tf.tidy(() => {
      const t = given(name, 't').dataSync();
      const label = read(name, 'labels');
      const low = read(name, 'low');
      const output = network.apply(parameters, {
        z: given(name, 'z'),
        lambda: tf.tensor1d(Float32Array.from(t, (at) => times.lambdaOf(at))),
        condition: low ? { image: low, label } : (label ?? tf.zeros([3], 'int32')),
      });
      expect(difference(output, given(name, 'output'))).toBeLessThan(1e-4);
    });
    dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test('written back has the same tensors', async () => {
    const { path: written } = await writeBack(name, peer, load);
    // To the bit, also of what float16 had.
    const original = await contents(withWeights, fixture(path));
    expect(await contents(withTensors, written)).toEqual(original);
    expect(original.length).toBeGreaterThan(30);
  });
});

const run = promisify(execFile);

test.skipIf(!process.env.LOGSNR_TORCH)(
  'what is written back is loaded strictly by its peer, which gives what it gave',
  async () => {
    const [python = '', peers] = [process.env.LOGSNR_TORCH, process.env.LOGSNR_PEERS];
    for (const [name, peer, path, load] of files) {
      const { place } = await writeBack(name, peer, load);
      if (peer === 'diffusers') await cp(join(fixture(path), 'config.json'), join(place, 'config.json'));
    }
    const script = fileURLToPath(new URL('../../../parity/pretrained.py', import.meta.url));
    const { stdout } = await run(python, [script, 'check', folder, ...(peers ? [peers] : [])]);
    const differences: Record<string, number> = JSON.parse(stdout);
    expect(Object.keys(differences)).toHaveLength(peers ? files.length : 4);
    for (const [name, value] of Object.entries(differences)) expect(value, name).toBeLessThan(1e-5);
  },
  600_000,
);

describe('a loaded model', () => {
  test('is taken by classifierFree, sample and compile; its grid is that of its times', async () => {
    const { model, conditioning, image, times, dispose } = await loadModel(fixture('diffusers-unet'), {
      nullLabel: 10,
    });
    expect([conditioning.classes, conditioning.nullLabel, ...image]).toEqual([10, 10, 8, 8, 1]);
    // The scheduler's own β.
    expect(times?.lambdas).toEqual(discrete(linearBetas({ end: 0.03 })).lambdas);
    const condition = conditioning.of([1, 7, 9]);
    const z = given('diffusers-unet', 'z');
    const lambda = tf.fill([3], 0.5) as tf.Tensor1D;
    const [conditional, none] = [condition, conditioning.null(3)].map((c) => epsOf(model)(z, lambda, c));
    const guided = classifierFree(model, conditioning, 2);
    const by = tf.sub(tf.mul(3, conditional as tf.Tensor), tf.mul(2, none as tf.Tensor));
    expect(difference(epsOf(guided)(z, lambda, condition), by)).toBeLessThan(1e-5);
    const draw = {
      ...{ condition, shape: [3, ...image], key: key(1), lambdas: grid((times as DiscreteTimes).schedule, 4) },
    };
    const eager = sample({ model: guided, sampler: ddim(), ...draw });
    const compiled = compileSampler(native(), { model: guided, sampler: ddim() });
    expect(difference(compiled.sample(draw), eager)).toBeLessThan(1e-4);
    compiled.dispose();
    dispose();
  });

  test('of two outputs a channel has a learned variance, which ancestral steps take', async () => {
    const { model, conditioning, dispose } = await loadModel(fixture('diffusers-dit'));
    expect(model.gives.variance).toBe(true);
    const z = given('diffusers-dit', 'z');
    const labels = given<tf.Tensor1D>('diffusers-dit', 'labels');
    const { lambdaOf } = discrete(linearBetas());
    const lambda = tf.tensor1d(Float32Array.from(given('diffusers-dit', 't').dataSync(), lambdaOf));
    // The label 4 is ∅.
    expect(conditioning.nullLabel).toBe(4);
    const { eps, variance } = model.predict(z, lambda, labels, null);
    const [first, second] = tf.split(given('diffusers-dit', 'output'), 2, 3);
    expect(difference(eps, first as tf.Tensor)).toBeLessThan(1e-4);
    expect(difference(variance as tf.Tensor, tf.mul(tf.add(second as tf.Tensor, 1), 0.5))).toBeLessThan(1e-4);
    dispose();
  });

  test('without ∅ says so, and is guided by its classifier', async () => {
    const network = { kind: 'unet', config: adm } as const;
    const { model, conditioning, dispose } = await loadModel(
      { network, ...range, attentionOrder: 'new' },
      fixture('adm.pt'),
    );
    const z = given('adm', 'z');
    const lambda = tf.fill([3], 0.5) as tf.Tensor1D;
    const c = conditioning.of([0, 3, 1]);
    const free = classifierFree(model, conditioning, 1);
    expect(() => epsOf(free)(z, lambda, c)).toThrow(
      /there is no ∅ among these labels: .* classifierFree needs ∅; classifierGuidance, autoguidance/,
    );
    const judge = await loadClassifier(
      { network: { kind: 'noisy-classifier', config: classifier } },
      fixture('adm-classifier.pt'),
    );
    expect(judge.classes).toBe(4);
    // ε − w σ ∇ log p(c|z), by the logits.
    const { network: of, parameters } = judge;
    const log = (z: tf.Tensor) => {
      const logits = tf.logSoftmax(of.apply(parameters, { z, lambda }));
      return tf.sum(tf.mul(logits, tf.oneHot(c, 4))) as tf.Scalar;
    };
    const pull = tf.mul(tf.grad(log)(z), 2 * Math.sqrt(1 / (1 + Math.exp(0.5))));
    const guided = epsOf(classifierGuidance(model, judge.logLikelihood, 2))(z, lambda, c);
    expect(difference(tf.sub(epsOf(model)(z, lambda, c), guided), pull)).toBeLessThan(1e-2);
    judge.dispose();
    dispose();
  });

  test('of a conditional U-Net has no ∅ unless it is said which label is', async () => {
    const all = await loadModel(fixture('diffusers-unet'));
    expect([all.conditioning.classes, all.conditioning.nullLabel]).toEqual([11, null]);
    const first = await loadModel(fixture('diffusers-unet'), { nullLabel: 0 });
    expect([first.conditioning.classes, first.conditioning.nullLabel]).toEqual([11, 0]);
    const without = await loadModel(fixture('diffusers-ddpm'));
    expect([without.conditioning.classes, without.conditioning.nullLabel]).toEqual([1, null]);
    for (const loaded of [all, first, without]) loaded.dispose();
    await expect(loadModel(fixture('diffusers-unet'), { nullLabel: 11 })).rejects.toThrow(
      /nullLabel, for .*unet, is 11; it must be an integer from 0 to 10/,
    );
    await expect(loadModel(fixture('diffusers-ddpm'), { nullLabel: 0 })).rejects.toThrow('has no classes');
  });
});

describe('what is not a model of this call', () => {
  test('is told by name, before a file is looked for', async () => {
    await expect(loadModel('adm-imagenet64')).rejects.toThrow(
      `"adm-imagenet64" is a preset; give the file of its weights too: loadModel('adm-imagenet64', path).`,
    );
    await expect(loadModel('adm-imagenet64-classifier', 'none.pt')).rejects.toThrow(
      `load it by loadClassifier('adm-imagenet64-classifier', path)`,
    );
    await expect(loadClassifier('adm-imagenet64', 'none.pt')).rejects.toThrow(
      `load it by loadModel('adm-imagenet64', path)`,
    );
    await expect(loadModel('adm-imagenet63', 'none.pt')).rejects.toThrow('the preset is "adm-imagenet63"');
    await expect(loadModel('dit-xl-2', 'none.pt')).rejects.toThrow('none.pt cannot be read: it is missing');
  });

  test('a value that is no finite number is refused by name, and nothing stays in memory', async () => {
    const { spec, parameters, dispose } = await loadModel(fixture('diffusers-ddpm'));
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const bias = tf.tensor1d([0, value, 0, 0]);
      const spoilt = { ...parameters, in: { ...(parameters.in as Parameters), bias } };
      const path = join(folder, `${value}.pt`);
      await saveParameters(spec, spoilt, path, { as: 'diffusers' });
      const before = tf.memory().numTensors;
      await expect(loadParameters(spec, path)).rejects.toThrow(
        `${path} has ${value} as value 1 of conv_in.bias, which is no finite number of float32`,
      );
      expect(tf.memory().numTensors).toBe(before);
    }
    dispose();
  });
});

test('training goes on from a checkpoint, and after it was saved and loaded as if nothing had been', async () => {
  const { network, spec, parameters, conditioning, dispose } = await loadModel(fixture('diffusers-unet'), {
    nullLabel: 10,
  });
  const steps = (from: Parameters, count: number, first: number) =>
    train({
      ...{ network: network as Network<tf.Tensor1D>, conditioning, parameters: from, steps: count, key: key(5) },
      ...{ schedule: arctan(), optimizer: adam({ learningRate: 1e-3 }), runtime: native() },
      batch: (step, of) => ({
        images: normal(fold(of, first + step), [4, 8, 8, 1]),
        condition: conditioning.of([0, 3, 7, 9]),
      }),
    });
  const bits = (of: Parameters) => Object.entries(flatten<tf.Tensor>(of)).map(([name, t]) => [name, t.dataSync()]);
  const ten = await steps(parameters, 10, 0);
  expect(ten.losses).toHaveLength(10);
  expect(bits(ten.parameters)).not.toEqual(bits(parameters));
  const path = join(folder, 'trained.safetensors');
  await saveParameters(spec, ten.parameters, path, { as: 'diffusers' });
  const again = await loadParameters(spec, path);
  expect(bits(again)).toEqual(bits(ten.parameters));
  const [one, other] = [await steps(ten.parameters, 3, 10), await steps(again, 3, 10)];
  expect(other.losses).toEqual(one.losses);
  expect(bits(other.parameters)).toEqual(bits(one.parameters));
  for (const state of [ten, one, other]) disposeState(state);
  free(again);
  dispose();
});

// The digests of "name shape" of the peers' own modules in the published sizes, by parity/pretrained.py.
const digests: Record<string, string> = JSON.parse(await readFile(fixture('names.json'), 'utf8'));
test.each(Object.entries(digests))('%s has the names and shapes of the published file', (name, digest) => {
  const diffusers = name.startsWith('diffusers ');
  const { network } = preset(name.replace('diffusers ', ''));
  const peer = diffusers ? 'diffusers' : network.kind === 'dit' ? 'dit' : 'guided-diffusion';
  const { pieces, fixed } = mappingsOf(network, 'legacy', peer)[peer] as Mapping;
  const named = namedOf({ pieces, fixed: fixed.filter(({ optional }) => !optional) });
  const lines = named.map(({ name, shape }) => `${name} ${shape.join(',')}`).sort();
  expect(createHash('sha256').update(lines.join('\n')).digest('hex')).toBe(digest);
});
