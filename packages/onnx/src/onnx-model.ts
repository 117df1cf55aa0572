import { deferred, type Model, scoped } from '@logsnr/core';
import { bind, type DiscreteModelOptions, discreteModel } from '@logsnr/networks';
import { module, type NetworkInput } from '@logsnr/nn';
import type { DiscreteTimes } from '@logsnr/schedules';
import { dispose, type Tensor, type Tensor1D, tensor, transpose } from '@tensorflow/tfjs-core';
import { dataOf, type OnnxSession, type OnnxTensorClass, type OnnxType, types } from './session.js';

/** What a call of the network is given. */
export interface OnnxCall<C> {
  /** In the network's own layout. */
  readonly z: Tensor;
  /** [n], float32: the time of `times`, else λ in nats. */
  readonly time: Tensor1D;
  readonly condition: C;
}

/** What an input gets: z, the time, or the tensor that a function makes of the call. */
export type OnnxInput<C> = 'z' | 'time' | ((call: OnnxCall<C>) => Tensor);

export interface OnnxModelOptions<C> extends DiscreteModelOptions {
  /** Of onnxruntime, opened and released by you. */
  readonly session: OnnxSession;
  /** The class of its tensors: `ort.Tensor`. */
  readonly Tensor: OnnxTensorClass;
  /** What each input of the session gets, by its name. The condition's inputs are functions, called within a tidy. */
  readonly inputs: Readonly<Record<string, OnnxInput<C>>>;
  /** The output that is the prediction; the only one unless given. */
  readonly output?: string | undefined;
  /** Where an image's channels are in the network. PyTorch's NCHW unless given; here they are last. Other ranks stay as they are. */
  readonly layout?: 'NCHW' | 'NHWC' | undefined;
  /** Times of a discrete-time model. Without them the time is λ. */
  readonly times?: DiscreteTimes | undefined;
  /** Types of inputs, where the session does not tell them and they are not the tensors' own. */
  readonly types?: Readonly<Record<string, OnnxType>> | undefined;
}

/**
 * The model that an ONNX file's network is: any that predicts ε, x or v from z, a time and whatever is mapped to its other inputs. It is
 * run by an onnxruntime of yours, in Node or in a browser. Its answers come by promises, so sample with `sampleAsync` or `trajectoryAsync` of
 * `@logsnr/samplers`. Every guidance method takes it, but for those that differentiate through the model.
 *
 * z is [n, height, width, channels], latents of an autoencoder among them.
 * @throws RangeError where names, types or options are not the session's, before any work; in use where the output is not of z's shape or
 *   a time is no whole number and must be.
 */
export function onnxModel<C>(options: OnnxModelOptions<C>): Model<C> {
  const { session, inputs, times, layout = 'NCHW', ...reading } = options;
  const { inputNames, outputNames } = session;
  const missing = inputNames.filter((name) => !Object.hasOwn(inputs, name));
  const unknown = Object.keys(inputs).filter((name) => !inputNames.includes(name));
  if (missing.length > 0 || unknown.length > 0)
    throw new RangeError(
      `inputs name ${Object.keys(inputs).join(', ') || 'nothing'}, and the network has ${inputNames.join(', ')}; say of each of its inputs what it gets.`,
    );
  const { output = outputNames.length === 1 ? (outputNames[0] as string) : undefined } = options;
  if (output === undefined || !outputNames.includes(output))
    throw new RangeError(
      `output is ${output === undefined ? 'left out' : `"${output}"`}; it must be one of ${outputNames.join(', ')}.`,
    );
  if (layout !== 'NCHW' && layout !== 'NHWC')
    throw new RangeError(`layout is "${layout}"; it must be "NCHW" or "NHWC".`);
  const typeOf = typesOf(options);
  const planes = (x: Tensor, order: number[]) => (layout === 'NCHW' && x.rank === 4 ? transpose(x, order) : x.clone());

  const raw = deferred(async (z: Tensor, time: Tensor1D, condition: C): Promise<Tensor> => {
    const given = scoped(() => {
      const call = { z: planes(z, [0, 3, 1, 2]), time, condition };
      return inputNames.map((name) => {
        const from = inputs[name] as OnnxInput<C>;
        return (typeof from === 'function' ? from(call) : call[from]).clone();
      });
    });
    try {
      const feeds: Record<string, never> = {};
      for (const [i, name] of inputNames.entries()) {
        const value = given[i] as Tensor;
        const type = typeOf(name, value.dtype);
        const data = dataOf(type, (await value.data()) as Float32Array | Int32Array | Uint8Array, name);
        feeds[name] = new options.Tensor(type, data, value.shape) as never;
      }
      const found = (await session.run(feeds, [output]))[output];
      if (!(found?.data instanceof Float32Array))
        throw new RangeError(`the output "${output}" is of type ${found?.type}; it must be float32.`);
      const { data, dims } = found;
      return scoped(() => planes(tensor(data, [...dims]), [0, 2, 3, 1]));
    } finally {
      dispose(given);
    }
  });
  if (times) return discreteModel<C>(raw, times, reading);
  const network = module({}, (_, { z, lambda, condition }: NetworkInput<C>) => raw(z, lambda, condition));
  return bind<C>(network, {}, reading);
}

/** The type of each input: as given, else as the session says, else that of its tensor. */
function typesOf<C>({ session, types: given = {} }: OnnxModelOptions<C>): (name: string, dtype: string) => OnnxType {
  const stated = new Map(session.inputMetadata?.map(({ name, type }) => [name, type]));
  for (const name of session.inputNames) {
    const type = given[name] ?? stated.get(name) ?? 'float32';
    if (!types.includes(type as OnnxType))
      throw new RangeError(
        `the input "${name}" has the type ${type}; it must be one of ${types.join(', ')}. A half-precision network is exported with float32 inputs and outputs.`,
      );
  }
  return (name, dtype) => given[name] ?? ((stated.get(name) ?? dtype) as OnnxType);
}
