import { eager, flatten, free, type Runtime, unflatten } from '@logsnr/core';
import { DamagedFile, encodeSafetensors } from '@logsnr/io';
import { faultOf, fingerprintOf, piecesOf, replaceFile, withSafetensors } from '@logsnr/io/node';
import {
  type Classifier,
  type ConvClassifierConfig,
  convClassifier,
  type ResidualClassifierConfig,
  residualClassifier,
} from '@logsnr/networks';
import { type Parameters, shapesOf } from '@logsnr/nn';
import { softmax, type Tensor, type Tensor4D, tensor } from '@tensorflow/tfjs-core';
import * as v from 'valibot';
import type { DirectExtractor } from './extractor.js';

/** A network that tells the class of an image, as data: `convClassifier` or `residualClassifier` of `@logsnr/networks`. */
export type ClassifierSpec =
  | { readonly kind: 'conv-classifier'; readonly config: ConvClassifierConfig }
  | { readonly kind: 'residual-classifier'; readonly config: ResidualClassifierConfig };

/** The network of a specification. */
export const classifierOf = ({ kind, config }: ClassifierSpec): Classifier =>
  kind === 'conv-classifier' ? convClassifier(config) : residualClassifier(config);

export interface ClassifierFile {
  /** How results call it, such as `cifar10-classifier`. */
  readonly name: string;
  readonly network: ClassifierSpec;
  /** Of the network, borrowed. */
  readonly parameters: Parameters;
}

export interface WriteClassifierOptions {
  /** Half precision, in half the bytes. Default false. */
  readonly half?: boolean | undefined;
}

export interface ClassifierExtractorOptions {
  /** Where it runs: `native()` of `@logsnr/tensorflow` compiles it. Operation by operation unless given. */
  readonly runtime?: Runtime | undefined;
}

const notesSchema = v.object({
  name: v.pipe(v.string(), v.minLength(1)),
  network: v.object({
    kind: v.picklist(['conv-classifier', 'residual-classifier']),
    config: v.object({
      ...{ height: v.number(), width: v.number(), channels: v.number(), classes: v.number() },
      widths: v.optional(v.array(v.number())),
      ...{ features: v.optional(v.number()), groups: v.optional(v.number()) },
    }),
  }),
});

/**
 * Writes a trained classifier as a safetensors file that says what network it is of, for {@link classifierExtractor}. The file is
 * replaced as a whole.
 */
export async function writeClassifier(
  path: string,
  { name, network, parameters }: ClassifierFile,
  { half = false }: WriteClassifierOptions = {},
): Promise<void> {
  const tensors: Record<string, { shape: number[]; data: Float32Array; dtype: 'F16' | 'F32' }> = {};
  for (const [path, value] of Object.entries(flatten<Tensor>(parameters)))
    tensors[path] = { shape: value.shape, data: await value.data<'float32'>(), dtype: half ? 'F16' : 'F32' };
  const metadata = { classifier: JSON.stringify({ name, network }) };
  await replaceFile(path, piecesOf(encodeSafetensors({ tensors, metadata })));
}

/**
 * A classifier in a file of {@link writeClassifier} as an extractor: its features, and its class probabilities. It takes images
 * of its own size alone and resizes none.
 * @throws DamagedFile where the file holds no classifier, or its weights do not fit the network that it names.
 */
export async function classifierExtractor(
  path: string,
  { runtime = eager }: ClassifierExtractorOptions = {},
): Promise<DirectExtractor> {
  const { sha256 } = await fingerprintOf(path);
  const { name, network, config, parameters } = await readClassifier(path);
  const read = runtime.jit((images: Tensor4D) => {
    const { features, logits } = network.apply(parameters, images);
    return { features, probabilities: softmax(logits) };
  });
  const { height, width, channels } = config;
  return {
    ...{ extractor: name, sha256, resize: 'none', channels, size: { height, width }, classifier: name, read },
    dispose() {
      read.dispose();
      free(parameters);
    },
  };
}

async function readClassifier(path: string) {
  const fail = (what: string): never => {
    throw new DamagedFile(`${path} holds no classifier: ${what}.`);
  };
  return withSafetensors(path, async ({ entries, metadata, values }) => {
    const { name, network: spec } = notesOf(metadata.classifier, fail);
    const network = made(spec, fail);
    const shapes = shapesOf(network);
    const given = new Map(entries.map((entry) => [entry.name, entry]));
    const tensors: Record<string, Tensor> = {};
    try {
      for (const [name, shape] of Object.entries(shapes)) {
        const entry = given.get(name) ?? fail(`it has no tensor "${name}"`);
        if (entry.shape.join() !== shape.join())
          fail(`"${name}" has shape [${entry.shape.join(', ')}], not [${shape.join(', ')}]`);
        const data = await values(entry);
        if (!(data instanceof Float32Array)) return fail(`"${name}" is ${entry.dtype}; weights are F16, BF16 or F32`);
        if (!data.every(Number.isFinite)) fail(`"${name}" holds numbers that are not finite`);
        tensors[name] = tensor(data, [...shape]);
      }
    } catch (error) {
      free(tensors);
      throw error;
    }
    return { name, network, config: spec.config, parameters: unflatten<Tensor>(tensors) as Parameters };
  });
}

function notesOf(text: string | undefined, fail: (what: string) => never): v.InferOutput<typeof notesSchema> {
  if (text === undefined) return fail('its metadata have no "classifier", which `writeClassifier` writes');
  try {
    const { success, output, issues } = v.safeParse(notesSchema, JSON.parse(text), { abortEarly: true });
    return success ? output : fail(`"classifier" of its metadata does not fit: ${faultOf(issues)}`);
  } catch (error) {
    if (error instanceof DamagedFile) throw error;
    return fail('"classifier" of its metadata is no JSON');
  }
}

function made(network: v.InferOutput<typeof notesSchema>['network'], fail: (what: string) => never): Classifier {
  try {
    return classifierOf(network as ClassifierSpec);
  } catch (error) {
    return fail((error as Error).message.replace(/\.$/, ''));
  }
}
