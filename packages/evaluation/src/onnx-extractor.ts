import { scoped } from '@logsnr/core';
import type { FeatureOrigin } from '@logsnr/metrics';
import { type Tensor2D, type Tensor4D, tensor2d, transpose } from '@tensorflow/tfjs-core';
import type { Extractor } from './extractor.js';

/** What is used of an `InferenceSession` of onnxruntime-node or onnxruntime-web. */
export interface OnnxSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  run(
    feeds: Readonly<Record<string, never>>,
  ): Promise<Readonly<Record<string, { readonly data: unknown; readonly dims: readonly number[] }>>>;
}

export interface OnnxExtractorOptions extends FeatureOrigin, Pick<Extractor, 'size'> {
  /** Of onnxruntime, opened by you; its one input is the images [n, channels, h, w]. */
  readonly session: OnnxSession;
  /** Makes a tensor for it: `(data, dims) => new ort.Tensor('float32', data, dims)`. */
  readonly tensor: (data: Float32Array, dims: readonly number[]) => unknown;
  /** The names of its outputs: features [n, d] or [n, d, 1, 1], and class probabilities [n, classes] where it has them. */
  readonly features: string;
  readonly probabilities?: string | undefined;
  /** Channels of an image; 3 unless given. */
  readonly channels?: number | undefined;
  /** From images [n, h, w, channels] in [−1, 1] to what the network takes, NHWC too: resizing and scaling. `resize` names it. */
  readonly prepare?: ((images: Tensor4D) => Tensor4D) | undefined;
}

/**
 * A network in an ONNX file as an extractor, run by an onnxruntime of yours: this package depends on none.
 * @throws RangeError where the session has other inputs or outputs, and in `read` where an output is no matrix of floats.
 */
export function onnxExtractor(options: OnnxExtractorOptions): Extractor {
  const { session, tensor, extractor, sha256, resize, size, channels = 3, prepare = (images) => images } = options;
  const { inputNames, outputNames } = session;
  const [input = '', ...more] = inputNames;
  if (inputNames.length !== 1)
    throw new RangeError(
      `${extractor} has the inputs ${[input, ...more].join(', ')}; an extractor has one, the images.`,
    );
  const asked = [options.features, ...(options.probabilities === undefined ? [] : [options.probabilities])];
  for (const name of asked)
    if (!outputNames.includes(name))
      throw new RangeError(`${extractor} has no output "${name}"; it has ${outputNames.join(', ')}.`);
  return {
    ...{
      extractor,
      sha256,
      resize,
      size,
      channels,
      classifier: options.probabilities === undefined ? null : extractor,
    },
    async read(images) {
      const planes = scoped(() => transpose(prepare(images), [0, 3, 1, 2]));
      try {
        const feeds = { [input]: tensor(await planes.data<'float32'>(), planes.shape) as never };
        const found = await session.run(feeds);
        const matrix = (name: string): Tensor2D => {
          const { data, dims } = found[name] ?? { data: null, dims: [] };
          const [rows = 0, columns = 0, ...rest] = dims;
          if (!(data instanceof Float32Array) || data.length !== rows * columns || rest.some((size) => size !== 1))
            throw new RangeError(
              `the output "${name}" of ${extractor} is [${dims.join(', ')}]; it must be float32 [n, d].`,
            );
          if (rows !== images.shape[0])
            throw new RangeError(
              `the output "${name}" of ${extractor} has ${rows} rows for ${images.shape[0]} images.`,
            );
          return tensor2d(data, [rows, columns]);
        };
        return scoped(() => ({
          features: matrix(options.features),
          probabilities: options.probabilities === undefined ? null : matrix(options.probabilities),
        }));
      } finally {
        planes.dispose();
      }
    },
    dispose() {},
  };
}
