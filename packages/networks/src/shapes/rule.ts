import { backend_util, type DataType, type TensorInfo } from '@tensorflow/tfjs-core';

/** The shape and type of what an operation gives. */
export interface Output {
  readonly shape: readonly number[];
  readonly dtype: DataType;
}

/** What an operation gives, and what it costs. */
export interface Made {
  /** One output, or several where the operation has several. */
  readonly output: Output | readonly Output[];
  readonly multiplyAdds?: number;
  /** The output is this input under another shape, and needs no memory of its own. */
  readonly shares?: TensorInfo;
}

/** The inputs of an operation that are looked at. */
export type Named<K extends string> = { readonly [name in K]: TensorInfo };

/** What an operation gives, told from the shapes of its inputs and its attributes alone. */
export type Rule<I = Named<string>, A = unknown> = (inputs: I, attrs: A) => Made;

/** Rules by the names of kernels. Each has inputs and attributes of its own. */
export type Rules = Readonly<Record<string, Rule<never, never>>>;

/** The same rule for many kernels. */
export const forAll = (names: readonly string[], rule: Rule<never, never>): Rules =>
  Object.fromEntries(names.map((name) => [name, rule]));

export const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** Of an input's shape and type. */
export const like = ({ shape, dtype }: TensorInfo): Output => ({ shape, dtype });

/** Of an input's type, of another shape. */
export const shaped = ({ dtype }: TensorInfo, shape: readonly number[]): Output => ({ shape, dtype });

/** `axis` counted from the front; a negative one counts from the back. */
export const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

export const broadcast = (a: readonly number[], b: readonly number[]): number[] =>
  backend_util.assertAndGetBroadcastShape([...a], [...b]);
