/** What is used of an `InferenceSession` of onnxruntime-node or onnxruntime-web, so a session of either is one. */
export interface OnnxSession {
  readonly inputNames: readonly string[];
  readonly outputNames: readonly string[];
  /** The types of its inputs. Versions before 1.22 do not tell them. */
  readonly inputMetadata?: readonly { readonly name: string; readonly type?: string }[];
  run(
    feeds: Readonly<Record<string, never>>,
    fetches: readonly string[],
  ): Promise<Readonly<Record<string, OnnxTensor>>>;
}

/** What is looked at of a tensor of onnxruntime. */
export interface OnnxTensor {
  readonly type: string;
  readonly dims: readonly number[];
  readonly data: unknown;
}

/** The class `Tensor` of onnxruntime-node or onnxruntime-web. */
export type OnnxTensorClass = new (type: OnnxType, data: OnnxData, dims: readonly number[]) => unknown;

/** The types that an input may have. */
export type OnnxType = 'float32' | 'float64' | 'int64' | 'int32' | 'bool';
export type OnnxData = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;

type Numbers = Float32Array | Int32Array | Uint8Array;

const arrays: Readonly<Record<OnnxType, (values: Numbers) => OnnxData>> = {
  float32: (values) => (values instanceof Float32Array ? values : Float32Array.from(values)),
  float64: (values) => Float64Array.from(values),
  // Not BigInt64Array.from with a mapping: its types know no array of numbers.
  int64: (values) => BigInt64Array.from(Array.from(values, BigInt)),
  int32: (values) => Int32Array.from(values),
  bool: (values) => Uint8Array.from(values, (value) => (value === 0 ? 0 : 1)),
};

export const types = Object.keys(arrays) as readonly OnnxType[];

/**
 * Numbers as an array of a type.
 * @throws RangeError on a fraction where the type is of whole numbers.
 */
export function dataOf(type: OnnxType, values: Numbers, name: string): OnnxData {
  if (type.startsWith('int') && values instanceof Float32Array) {
    const wrong = values.find((value) => !Number.isInteger(value));
    if (wrong !== undefined)
      throw new RangeError(
        `the input "${name}" has the type ${type} and is given ${wrong}; whole times come with { round: true }.`,
      );
  }
  return arrays[type](values);
}
