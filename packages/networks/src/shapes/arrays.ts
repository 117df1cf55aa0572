import * as tf from '@tensorflow/tfjs-core';
import { forAll, fromFront, like, type Named, type Output, product, type Rule, type Rules, shaped } from './rule.js';

/** An array of tensors, which some kernels take. */
type Several = Readonly<Record<number, tf.TensorInfo>>;

const reshape: Rule<Named<'x'>, tf.ReshapeAttrs> = ({ x }, { shape }) => ({
  output: shaped(x, tf.util.inferFromImplicitShape([...shape], product(x.shape))),
  shares: x,
});

const expandDims: Rule<Named<'input'>, tf.ExpandDimsAttrs> = ({ input }, { dim }) => ({
  output: shaped(input, input.shape.toSpliced(fromFront(dim, input.shape.length + 1), 0, 1)),
  shares: input,
});

const transpose: Rule<Named<'x'>, tf.TransposeAttrs> = ({ x }, { perm }) => ({
  output: shaped(
    x,
    perm.map((axis) => x.shape[axis] as number),
  ),
});

const slice: Rule<Named<'x'>, tf.SliceAttrs> = ({ x }, { begin, size }) => ({
  output: shaped(x, tf.slice_util.parseSliceParams(x, begin, size)[1] as number[]),
});

const stridedSlice: Rule<Named<'x'>, tf.StridedSliceAttrs> = ({ x }, attrs) => {
  const { begin, end, strides, beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask } = attrs;
  const masks = [beginMask, endMask, ellipsisMask, newAxisMask, shrinkAxisMask] as const;
  return { output: shaped(x, tf.slice_util.sliceInfo(x.shape, begin, end, strides, ...masks).finalShape) };
};

const split: Rule<Named<'x'>, tf.SplitVAttrs> = ({ x }, { numOrSizeSplits, axis }) => {
  const at = fromFront(axis, x.shape.length);
  const sizes = tf.backend_util.prepareSplitSize(x as tf.Tensor, numOrSizeSplits, at);
  return { output: sizes.map((size) => shaped(x, x.shape.with(at, size))) };
};

const concat: Rule<Several, tf.ConcatAttrs> = (inputs, { axis }) => {
  const [first, ...rest] = Object.values(inputs) as [tf.TensorInfo, ...tf.TensorInfo[]];
  const at = fromFront(axis, first.shape.length);
  const size = rest.reduce((sum, { shape }) => sum + (shape[at] as number), first.shape[at] as number);
  return { output: shaped(first, first.shape.with(at, size)) };
};

const pack: Rule<Several, tf.PackAttrs> = (inputs, { axis }) => {
  const [first, ...rest] = Object.values(inputs) as [tf.TensorInfo, ...tf.TensorInfo[]];
  const at = fromFront(axis, first.shape.length + 1);
  return { output: shaped(first, first.shape.toSpliced(at, 0, rest.length + 1)) };
};

const unpack: Rule<Named<'value'>, tf.UnpackAttrs> = ({ value }, { axis }) => {
  const at = fromFront(axis, value.shape.length);
  const one = shaped(value, value.shape.toSpliced(at, 1));
  return { output: Array.from({ length: value.shape[at] as number }, () => one) };
};

const tile: Rule<Named<'x'>, tf.TileAttrs> = ({ x }, { reps }) => ({
  output: shaped(
    x,
    x.shape.map((size, axis) => size * (reps[axis] as number)),
  ),
});

const pad: Rule<Named<'x'>, Pick<tf.PadV2Attrs, 'paddings'>> = ({ x }, { paddings }) => ({
  output: shaped(
    x,
    x.shape.map((size, axis) => size + (paddings[axis]?.[0] ?? 0) + (paddings[axis]?.[1] ?? 0)),
  ),
});

const gather: Rule<Named<'x' | 'indices'>, tf.GatherV2Attrs> = ({ x, indices }, { axis, batchDims }) => {
  const at = fromFront(axis, x.shape.length);
  return {
    output: shaped(x, [...x.shape.slice(0, at), ...indices.shape.slice(batchDims), ...x.shape.slice(at + 1)]),
  };
};

const gatherNd: Rule<Named<'params' | 'indices'>> = ({ params, indices }) => ({
  output: shaped(params, [...indices.shape.slice(0, -1), ...params.shape.slice(indices.shape.at(-1))]),
});

const depthToSpace: Rule<Named<'x'>, tf.DepthToSpaceAttrs> = ({ x }, { blockSize, dataFormat }) => {
  const first = dataFormat === 'NHWC' ? 1 : 2;
  const shape = x.shape.map((size, axis) => (axis === first || axis === first + 1 ? size * blockSize : size));
  const channels = first === 1 ? 3 : 1;
  return { output: shaped(x, shape.with(channels, (x.shape[channels] as number) / blockSize ** 2)) };
};

const float = (shape: readonly number[]): Output => ({ shape, dtype: 'float32' });

/** Operations that make tensors, and put values elsewhere. They count no multiply-adds. */
export const arrayRules: Rules = {
  [tf.Identity]: (({ x }) => ({ output: like(x), shares: x })) satisfies Rule<Named<'x'>>,
  [tf.Reshape]: reshape,
  [tf.ExpandDims]: expandDims,
  [tf.Transpose]: transpose,
  [tf.Slice]: slice,
  [tf.StridedSlice]: stridedSlice,
  [tf.SplitV]: split,
  [tf.Concat]: concat,
  [tf.Pack]: pack,
  [tf.Unpack]: unpack,
  [tf.Tile]: tile,
  ...forAll([tf.PadV2, tf.MirrorPad], pad),
  [tf.GatherV2]: gather,
  [tf.GatherNd]: gatherNd,
  [tf.DepthToSpace]: depthToSpace,
  [tf.ScatterNd]: (({ updates }, { shape }) => ({ output: shaped(updates, shape) })) satisfies Rule<
    Named<'updates'>,
    tf.ScatterNdAttrs
  >,
  [tf.TensorScatterUpdate]: (({ tensor }) => ({ output: like(tensor) })) satisfies Rule<Named<'tensor'>>,
  [tf.Fill]: ((_, { shape, dtype }) => ({ output: { shape, dtype: dtype ?? 'float32' } })) satisfies Rule<
    object,
    tf.FillAttrs
  >,
  [tf.LinSpace]: ((_, { num }) => ({ output: float([num]) })) satisfies Rule<object, tf.LinSpaceAttrs>,
  [tf.Range]: ((_, { start, stop, step, dtype }) => ({
    output: { shape: [Math.max(Math.ceil((stop - start) / step), 0)], dtype },
  })) satisfies Rule<object, tf.RangeAttrs>,
};
