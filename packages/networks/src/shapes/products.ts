import * as tf from '@tensorflow/tfjs-core';
import { broadcast, forAll, like, type Made, type Named, product, type Rule, type Rules, shaped } from './rule.js';

type Shape4D = [number, number, number, number];

/** Strides, padding and dilations: what all convolutions have. */
type ConvAttrs = Pick<tf.Conv2DAttrs, 'strides' | 'pad' | 'dimRoundingMode' | 'dataFormat'> &
  Partial<Pick<tf.Conv2DAttrs, 'dilations'>>;

function convolution(x: readonly number[], filter: readonly number[], attrs: ConvAttrs, depthwise = false) {
  const { strides, pad, dimRoundingMode, dataFormat = 'NHWC', dilations = 1 } = attrs;
  const format = tf.backend_util.convertConv2DDataFormat(dataFormat);
  const given = [[...x] as Shape4D, [...filter] as Shape4D, strides, dilations, pad, dimRoundingMode] as const;
  const { outShape, outChannels, outHeight, outWidth, batchSize } = tf.backend_util.computeConv2DInfo(
    ...given,
    depthwise,
    format,
  );
  const [rows, columns, channels] = filter as Shape4D;
  const outputs = batchSize * outHeight * outWidth * outChannels;
  return { outShape, multiplyAdds: outputs * rows * columns * (depthwise ? 1 : channels) };
}

const conv2d =
  (depthwise: boolean): Rule<Named<'x' | 'filter'>, tf.Conv2DAttrs> =>
  ({ x, filter }, attrs) => {
    const { outShape, multiplyAdds } = convolution(x.shape, filter.shape, attrs, depthwise);
    return { output: shaped(x, outShape), multiplyAdds };
  };

const filterGradient =
  (depthwise: boolean): Rule<Named<'x'>, tf.Conv2DBackpropFilterAttrs> =>
  ({ x }, { filterShape, ...attrs }) => {
    const { multiplyAdds } = convolution(x.shape, filterShape, attrs, depthwise);
    return { output: shaped(x, filterShape), multiplyAdds };
  };

const inputGradient =
  (depthwise: boolean): Rule<Named<'dy' | 'filter'>, tf.Conv2DBackpropInputAttrs> =>
  ({ dy, filter }, { inputShape, ...attrs }) => {
    const { multiplyAdds } = convolution(inputShape, filter.shape, attrs, depthwise);
    return { output: shaped(dy, inputShape), multiplyAdds };
  };

const pool: Rule<Named<'x'>, tf.AvgPoolAttrs> = ({ x }, { filterSize, strides, pad, dimRoundingMode }) => ({
  output: shaped(
    x,
    tf.backend_util.computePool2DInfo(x.shape as Shape4D, filterSize, strides, 1, pad, dimRoundingMode).outShape,
  ),
});

const matMul: Rule<Named<'a' | 'b'>, tf.BatchMatMulAttrs> = ({ a, b }, { transposeA, transposeB }): Made => {
  const [m, k] = [a.shape.at(transposeA ? -1 : -2) as number, a.shape.at(transposeA ? -2 : -1) as number];
  const n = b.shape.at(transposeB ? -2 : -1) as number;
  const shape = [...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)), m, n];
  return { output: shaped(a, shape), multiplyAdds: product(shape) * k };
};

/** One or two tensors. The multiply-adds of two are those of their product over all indices. */
const einsum: Rule<Readonly<Record<number, tf.TensorInfo>>, tf.EinsumAttrs> = (inputs, { equation }) => {
  const tensors = Object.values(inputs);
  const [left = '', right = ''] = equation.replaceAll(' ', '').split('->');
  const sizes = new Map<string, number>();
  for (const [i, names] of left.split(',').entries())
    [...names].forEach((name, axis) => {
      sizes.set(name, tensors[i]?.shape[axis] as number);
    });
  const shape = [...right].map((name) => sizes.get(name) as number);
  return {
    output: shaped(tensors[0] as tf.TensorInfo, shape),
    multiplyAdds: tensors.length > 1 ? product([...sizes.values()]) : 0,
  };
};

const resize: Rule<Named<'images'>, tf.ResizeBilinearAttrs> = ({ images }, { size }) => {
  const [n, , , c] = images.shape as Shape4D;
  return { output: { shape: [n, ...size, c], dtype: 'float32' } };
};

const ofImages: Rule<Named<'images'>> = ({ images }) => ({ output: like(images) });
const ofInput: Rule<Named<'input'>> = ({ input }) => ({ output: like(input) });

/** Convolutions, products, pooling and resampling of the library's. The first two count multiply-adds. */
export const productRules: Rules = {
  ...forAll([tf.Conv2D, tf.FusedConv2D], conv2d(false)),
  ...forAll([tf.DepthwiseConv2dNative, tf.FusedDepthwiseConv2D], conv2d(true)),
  [tf.Conv2DBackpropFilter]: filterGradient(false),
  [tf.Conv2DBackpropInput]: inputGradient(false),
  [tf.DepthwiseConv2dNativeBackpropFilter]: filterGradient(true),
  [tf.DepthwiseConv2dNativeBackpropInput]: inputGradient(true),
  ...forAll([tf.BatchMatMul, tf._FusedMatMul], matMul),
  [tf.Einsum]: einsum,
  ...forAll([tf.AvgPool, tf.MaxPool], pool),
  ...forAll([tf.AvgPoolGrad, tf.MaxPoolGrad], ofInput),
  ...forAll([tf.ResizeBilinear, tf.ResizeNearestNeighbor], resize),
  ...forAll([tf.ResizeBilinearGrad, tf.ResizeNearestNeighborGrad], ofImages),
};
