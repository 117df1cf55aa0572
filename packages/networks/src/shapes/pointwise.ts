import * as tf from '@tensorflow/tfjs-core';
import { broadcast, forAll, like, type Named, type Rule, type Rules, shaped } from './rule.js';

interface Reduction {
  axis?: number | number[];
  /** The axes of `Max`. */
  reductionIndices?: number | number[];
  keepDims?: boolean;
}

const unary: Rule = (inputs) => ({ output: like(Object.values(inputs)[0] as tf.TensorInfo) });
const test: Rule = (inputs) => ({ output: { ...like(Object.values(inputs)[0] as tf.TensorInfo), dtype: 'bool' } });

const binary: Rule<Named<'a' | 'b'>> = ({ a, b }) => ({
  output: { shape: broadcast(a.shape, b.shape), dtype: tf.backend_util.upcastType(a.dtype, b.dtype) },
});
const comparison: Rule<Named<'a' | 'b'>> = ({ a, b }) => ({
  output: { shape: broadcast(a.shape, b.shape), dtype: 'bool' },
});

const over = (
  x: tf.TensorInfo,
  { reductionIndices, axis = reductionIndices, keepDims = false }: Reduction,
): number[] => {
  const axes = tf.util.parseAxisParam(axis as number | number[], x.shape);
  return keepDims
    ? x.shape.map((size, at) => (axes.includes(at) ? 1 : size))
    : x.shape.filter((_, at) => !axes.includes(at));
};
const reduction: Rule<Named<'x'>, Reduction> = ({ x }, attrs) => ({ output: shaped(x, over(x, attrs)) });
const typedReduction =
  (dtype: tf.DataType): Rule<Named<'x'>, Reduction> =>
  ({ x }, attrs) => ({ output: { shape: over(x, attrs), dtype } });

const topK: Rule<Named<'x'>, tf.TopKAttrs> = ({ x }, { k }) => {
  const shape = [...x.shape.slice(0, -1), k];
  return {
    output: [
      { shape, dtype: x.dtype },
      { shape, dtype: 'int32' },
    ],
  };
};

const segments: Rule<Named<'x' | 'segmentIds'>, tf.UnsortedSegmentSumAttrs> = ({ x, segmentIds }, { numSegments }) => ({
  output: shaped(x, [numSegments, ...x.shape.slice(segmentIds.shape.length)]),
});

/** Operations on each value, and reductions over axes. They count no multiply-adds. */
export const pointwiseRules: Rules = {
  ...forAll(
    [
      ...[tf.Abs, tf.Acos, tf.Acosh, tf.Asin, tf.Asinh, tf.Atan, tf.Atanh, tf.Ceil, tf.ClipByValue, tf.Cos, tf.Cosh],
      ...[tf.Elu, tf.Erf, tf.Exp, tf.Expm1, tf.Floor, tf.LeakyRelu, tf.Log, tf.Log1p, tf.Neg, tf.Reciprocal, tf.Relu],
      ...[tf.Relu6, tf.Round, tf.Rsqrt, tf.Selu, tf.Sigmoid, tf.Sign, tf.Sin, tf.Sinh, tf.Softplus, tf.Sqrt, tf.Square],
      ...[tf.Step, tf.Tan, tf.Tanh, tf.ZerosLike, tf.OnesLike, tf.Softmax, tf.LogSoftmax, tf.Cumsum, tf.Cumprod],
      ...[tf.Reverse, tf.FusedBatchNorm, tf.LRN, tf.AddN, tf.FlipLeftRight],
    ],
    unary,
  ),
  ...forAll([tf.IsNan, tf.IsInf, tf.IsFinite, tf.LogicalNot], test),
  ...forAll(
    [
      ...[tf.Add, tf.Sub, tf.Multiply, tf.RealDiv, tf.FloorDiv, tf.Maximum, tf.Minimum, tf.Pow, tf.Mod],
      ...[tf.SquaredDifference, tf.Atan2],
    ],
    binary,
  ),
  ...forAll(
    [
      ...[tf.Equal, tf.NotEqual, tf.Greater, tf.GreaterEqual, tf.Less, tf.LessEqual],
      ...[tf.LogicalAnd, tf.LogicalOr, tf.LogicalXor],
    ],
    comparison,
  ),
  ...forAll([tf.Sum, tf.Max, tf.Min, tf.Prod], reduction),
  [tf.Mean]: typedReduction('float32'),
  ...forAll([tf.All, tf.Any], typedReduction('bool')),
  ...forAll([tf.ArgMax, tf.ArgMin], typedReduction('int32')),
  [tf.TopK]: topK,
  [tf.UnsortedSegmentSum]: segments,
  [tf.Prelu]: (({ x }) => ({ output: like(x) })) satisfies Rule<Named<'x'>>,
  [tf.Select]: (({ t }) => ({ output: like(t) })) satisfies Rule<Named<'t'>>,
  [tf.Cast]: (({ x }, { dtype }) => ({ output: { shape: x.shape, dtype } })) satisfies Rule<Named<'x'>, tf.CastAttrs>,
  [tf.OneHot]: (({ indices }, { depth, dtype }) => ({
    output: { shape: [...indices.shape, depth], dtype },
  })) satisfies Rule<Named<'indices'>, tf.OneHotAttrs>,
};
