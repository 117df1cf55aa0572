import type { KernelCall } from '@logsnr/networks';
import * as tf from '@tensorflow/tfjs-core';
import { type Graph, typeOf } from './graph.js';
import { DATA_TYPES } from './proto.js';

/** What a kernel of TensorFlow.js is in ONNX: the names of its outputs. */
type Form<A = object> = (graph: Graph, call: Call<A>) => string | string[];

interface Call<A> {
  /** Names of the inputs' values, in their order, and what is known of each. */
  readonly values: readonly string[];
  readonly inputs: readonly tf.TensorInfo[];
  readonly attrs: A;
  readonly outputs: readonly tf.TensorInfo[];
}

type Pair = readonly [number, number];

const same =
  (op: string): Form =>
  (graph, { values }) =>
    graph.node(op, values);
const negated =
  (op: string): Form =>
  (graph, { values }) =>
    graph.node('Not', [graph.node(op, values)]);
const cast = (graph: Graph, value: string, dtype: string): string =>
  graph.node('Cast', [value], { to: DATA_TYPES[typeOf(dtype)] });
const x = (values: readonly string[]): string => values[0] as string;
const shapeOf = (inputs: readonly tf.TensorInfo[], i = 0): readonly number[] => (inputs[i] as tf.TensorInfo).shape;
const fromFront = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);

/** A value spread over the shape of the output. */
const spread =
  (value: number): Form =>
  (graph, { outputs: [output] }) => {
    const { shape, dtype } = output as tf.TensorInfo;
    return graph.node('Expand', [graph.number(value, typeOf(dtype)), { whole: shape }]);
  };

interface Reduction {
  axis?: number | number[];
  reductionIndices?: number | number[];
  keepDims?: boolean;
}

const reduction =
  (op: string, through?: string): Form<Reduction> =>
  (graph, { values, inputs, attrs, outputs: [output] }) => {
    const { reductionIndices, axis = reductionIndices, keepDims = false } = attrs;
    const axes = tf.util.parseAxisParam(axis as number | number[], [...shapeOf(inputs)]);
    const value = through ? cast(graph, x(values), through) : x(values);
    const reduced = graph.node(op, [value, { whole: axes }], { keepdims: keepDims ? 1 : 0 });
    return through && through !== output?.dtype ? cast(graph, reduced, (output as tf.TensorInfo).dtype) : reduced;
  };

const furthest =
  (op: string): Form<{ axis: number }> =>
  (graph, { values, attrs: { axis } }) =>
    cast(graph, graph.node(op, [x(values)], { axis, keepdims: 0 }), 'int32');

/** An operation of ONNX on images of channels first, for one on images of channels last. */
function planes(graph: Graph, value: string, op: (planes: string) => string): string {
  const result = op(graph.node('Transpose', [value], { perm: [0, 3, 1, 2] }));
  return graph.node('Transpose', [result], { perm: [0, 2, 3, 1] });
}

type ConvAttrs = Pick<tf.Conv2DAttrs, 'strides' | 'pad' | 'dimRoundingMode' | 'dataFormat'> &
  Partial<Pick<tf.Conv2DAttrs, 'dilations'>>;
type Shape4D = [number, number, number, number];

const convolution =
  (depthwise: boolean): Form<ConvAttrs> =>
  (graph, { values: [image = '', filter = ''], inputs, attrs }) => {
    const { strides, pad, dimRoundingMode, dataFormat = 'NHWC', dilations = 1 } = attrs;
    if (dataFormat !== 'NHWC') throw new RangeError('a convolution has the data format NCHW; export one of NHWC.');
    const shapes = [[...shapeOf(inputs)] as Shape4D, [...shapeOf(inputs, 1)] as Shape4D] as const;
    const { padInfo, strideHeight, strideWidth, dilationHeight, dilationWidth } = tf.backend_util.computeConv2DInfo(
      ...[...shapes, strides, dilations, pad, dimRoundingMode, depthwise],
    );
    const [height, width, channels, outputs] = shapes[1];
    const kernel = graph.node('Transpose', [filter], { perm: depthwise ? [2, 3, 0, 1] : [3, 2, 0, 1] });
    const weight = depthwise ? graph.reshape(kernel, [channels * outputs, 1, height, width]) : kernel;
    const attributes = {
      strides: [strideHeight, strideWidth],
      dilations: [dilationHeight, dilationWidth],
      pads: [padInfo.top, padInfo.left, padInfo.bottom, padInfo.right],
      group: depthwise ? channels : 1,
    };
    return planes(graph, image, (value) => graph.node('Conv', [value, weight], attributes));
  };

const pool =
  (op: string): Form<tf.AvgPoolAttrs> =>
  (graph, { values, inputs, attrs: { filterSize, strides, pad, dimRoundingMode } }) => {
    const info = tf.backend_util.computePool2DInfo(
      ...([[...shapeOf(inputs)] as Shape4D, filterSize, strides, 1, pad, dimRoundingMode] as const),
    );
    const { top, left, bottom, right } = info.padInfo;
    return planes(graph, x(values), (value) =>
      graph.node(op, [value], {
        kernel_shape: [info.filterHeight, info.filterWidth],
        strides: [info.strideHeight, info.strideWidth],
        pads: [top, left, bottom, right],
      }),
    );
  };

const resize =
  (mode: 'linear' | 'nearest'): Form<tf.ResizeBilinearAttrs> =>
  (graph, { values, inputs, attrs: { alignCorners, halfPixelCenters, size } }) => {
    const [n, , , channels] = shapeOf(inputs) as Shape4D;
    return planes(graph, x(values), (value) =>
      graph.node('Resize', [value, '', '', { whole: [n, channels, ...size] }], {
        mode,
        coordinate_transformation_mode: alignCorners ? 'align_corners' : halfPixelCenters ? 'half_pixel' : 'asymmetric',
        ...(mode === 'nearest' && {
          nearest_mode: alignCorners || halfPixelCenters ? 'round_prefer_ceil' : 'floor',
        }),
      }),
    );
  };

const matMul: Form<tf.BatchMatMulAttrs> = (graph, { values: [a = '', b = ''], inputs, attrs }) => {
  const turned = (value: string, i: number, transposed: boolean) => {
    const rank = shapeOf(inputs, i).length;
    const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2];
    return transposed ? graph.node('Transpose', [value], { perm }) : value;
  };
  return graph.node('MatMul', [turned(a, 0, attrs.transposeA), turned(b, 1, attrs.transposeB)]);
};

const slice: Form<tf.SliceAttrs> = (graph, { values, inputs, attrs: { begin, size } }) => {
  const [starts = [], sizes = []] = tf.slice_util.parseSliceParams(inputs[0] as tf.TensorInfo, begin, size);
  const ends = starts.map((start, i) => start + (sizes[i] as number));
  return graph.node('Slice', [x(values), { whole: starts }, { whole: ends }]);
};

const split: Form<tf.SplitVAttrs> = (graph, { values, inputs, attrs: { numOrSizeSplits, axis } }) => {
  const at = fromFront(axis, shapeOf(inputs).length);
  const sizes = tf.backend_util.prepareSplitSize(inputs[0] as tf.Tensor, numOrSizeSplits, at);
  return graph.split('Split', [x(values), { whole: sizes }], sizes.length, { axis: at });
};

const unpack: Form<tf.UnpackAttrs> = (graph, { values, inputs, attrs: { axis }, outputs }) => {
  const sizes = outputs.map(() => 1);
  const at = fromFront(axis, shapeOf(inputs).length);
  return graph
    .split('Split', [x(values), { whole: sizes }], sizes.length, { axis: at })
    .map((part) => graph.reshape(part, (outputs[0] as tf.TensorInfo).shape));
};

const pack: Form<tf.PackAttrs> = (graph, { values, inputs, attrs: { axis } }) => {
  const shape = shapeOf(inputs);
  const at = fromFront(axis, shape.length + 1);
  const parts = values.map((value) => graph.reshape(value, shape.toSpliced(at, 0, 1)));
  return graph.node('Concat', parts, { axis: at });
};

const pad =
  (mode: 'constant' | 'reflect'): Form<{ paddings: readonly Pair[]; constantValue?: number }> =>
  (graph, { values, inputs, attrs: { paddings, constantValue } }) => {
    const pads = [...paddings.map(([before]) => before), ...paddings.map(([, after]) => after)];
    const { dtype } = inputs[0] as tf.TensorInfo;
    const filled = mode === 'constant' ? [graph.number(constantValue ?? 0, typeOf(dtype))] : [];
    return graph.node('Pad', [x(values), { whole: pads }, ...filled], { mode });
  };

const oneHot: Form<tf.OneHotAttrs> = (graph, { values, inputs, attrs: { depth, onValue, offValue, dtype } }) => {
  const places = graph.constant(
    'int32',
    Int32Array.from({ length: depth }, (_, i) => i),
    [depth],
  );
  const here = graph.node('Equal', [graph.reshape(x(values), [...shapeOf(inputs), 1]), places]);
  const type = typeOf(dtype);
  return graph.node('Where', [here, graph.number(onValue, type), graph.number(offValue, type)]);
};

const gather: Form<tf.GatherV2Attrs> = (graph, { values, attrs: { axis, batchDims } }) => {
  if (batchDims !== 0) throw new RangeError(`gather has batchDims ${batchDims}; it is exported with 0 alone.`);
  return graph.node('Gather', values, { axis });
};

const numbers = (graph: Graph, dtype: string, count: number, at: (i: number) => number): string => {
  const values = Array.from({ length: count }, (_, i) => at(i));
  return graph.constant(typeOf(dtype), (dtype === 'int32' ? Int32Array : Float32Array).from(values), [count]);
};

const shifted = (graph: Graph, value: string, by: number): string => graph.node('Add', [value, graph.number(by)]);

const forms: Readonly<Record<string, Form<never>>> = {
  ...Object.fromEntries(
    [
      ...[tf.Abs, tf.Acos, tf.Acosh, tf.Asin, tf.Asinh, tf.Atan, tf.Atanh, tf.Ceil, tf.Cos, tf.Cosh, tf.Erf, tf.Exp],
      ...[tf.Floor, tf.Log, tf.Neg, tf.Reciprocal, tf.Relu, tf.Round, tf.Sigmoid, tf.Sign, tf.Sin, tf.Sinh],
      ...[tf.Softplus, tf.Sqrt, tf.Tan, tf.Tanh, tf.Add, tf.Sub, tf.Pow, tf.Equal, tf.Greater, tf.Less],
    ].map((name) => [name, same(name)]),
  ),
  [tf.Multiply]: same('Mul'),
  [tf.Maximum]: same('Max'),
  [tf.Minimum]: same('Min'),
  [tf.AddN]: same('Sum'),
  [tf.GreaterEqual]: same('GreaterOrEqual'),
  [tf.LessEqual]: same('LessOrEqual'),
  [tf.NotEqual]: negated('Equal'),
  [tf.LogicalAnd]: same('And'),
  [tf.LogicalOr]: same('Or'),
  [tf.LogicalNot]: same('Not'),
  [tf.IsNan]: same('IsNaN'),
  [tf.IsInf]: same('IsInf'),
  [tf.Select]: same('Where'),
  [tf.RealDiv]: same('Div'),
  [tf.Square]: (graph, { values }) => graph.node('Mul', [x(values), x(values)]),
  [tf.SquaredDifference]: (graph, { values }) => {
    const difference = graph.node('Sub', values);
    return graph.node('Mul', [difference, difference]);
  },
  [tf.Rsqrt]: (graph, { values }) => graph.node('Reciprocal', [graph.node('Sqrt', values)]),
  // e^x − 1 = tanh(x/2) (e^x + 1), which keeps its digits near 0.
  [tf.Expm1]: (graph, { values }) => {
    const half = graph.node('Tanh', [graph.node('Mul', [x(values), graph.number(0.5)])]);
    return graph.node('Mul', [half, shifted(graph, graph.node('Exp', values), 1)]);
  },
  // log(1 + x) = x log(u)/(u − 1) with u = 1 + x as rounded, likewise (Kahan).
  [tf.Log1p]: (graph, { values }) => {
    const u = shifted(graph, x(values), 1);
    const ratio = graph.node('Div', [x(values), shifted(graph, u, -1)]);
    const found = graph.node('Mul', [graph.node('Log', [u]), ratio]);
    return graph.node('Where', [graph.node('Equal', [u, graph.number(1)]), x(values), found]);
  },
  [tf.ClipByValue]: ((graph, { values, inputs, attrs: { clipValueMin, clipValueMax } }) => {
    const type = typeOf((inputs[0] as tf.TensorInfo).dtype);
    return graph.node('Clip', [x(values), graph.number(clipValueMin, type), graph.number(clipValueMax, type)]);
  }) satisfies Form<tf.ClipByValueAttrs>,
  [tf.Relu6]: (graph, { values }) => graph.node('Clip', [x(values), graph.number(0), graph.number(6)]),
  [tf.Cast]: ((graph, { values, attrs: { dtype } }) => cast(graph, x(values), dtype)) satisfies Form<tf.CastAttrs>,
  [tf.ZerosLike]: spread(0),
  [tf.OnesLike]: spread(1),
  [tf.Fill]: ((graph, call) => spread(Number(call.attrs.value))(graph, call)) satisfies Form<tf.FillAttrs>,
  [tf.Range]: ((graph, { attrs: { start, step, dtype }, outputs }) =>
    numbers(
      graph,
      dtype,
      (outputs[0] as tf.TensorInfo).shape[0] as number,
      (i) => start + i * step,
    )) satisfies Form<tf.RangeAttrs>,
  [tf.LinSpace]: ((graph, { attrs: { start, stop, num } }) =>
    numbers(
      graph,
      'float32',
      num,
      (i) => start + (i * (stop - start)) / Math.max(num - 1, 1),
    )) satisfies Form<tf.LinSpaceAttrs>,
  [tf.Sum]: reduction('ReduceSum'),
  [tf.Mean]: reduction('ReduceMean', 'float32'),
  [tf.Max]: reduction('ReduceMax'),
  [tf.Min]: reduction('ReduceMin'),
  [tf.Prod]: reduction('ReduceProd'),
  [tf.All]: reduction('ReduceMin', 'int32'),
  [tf.Any]: reduction('ReduceMax', 'int32'),
  [tf.ArgMax]: furthest('ArgMax'),
  [tf.ArgMin]: furthest('ArgMin'),
  [tf.Softmax]: ((graph, { values, attrs: { dim } }) =>
    graph.node('Softmax', values, { axis: dim })) satisfies Form<tf.SoftmaxAttrs>,
  [tf.Transpose]: ((graph, { values, attrs: { perm } }) =>
    graph.node('Transpose', values, { perm })) satisfies Form<tf.TransposeAttrs>,
  [tf.Slice]: slice,
  [tf.SplitV]: split,
  [tf.Concat]: ((graph, { values, attrs: { axis } }) =>
    graph.node('Concat', values, { axis })) satisfies Form<tf.ConcatAttrs>,
  [tf.Pack]: pack,
  [tf.Unpack]: unpack,
  [tf.Tile]: ((graph, { values, attrs: { reps } }) =>
    graph.node('Tile', [x(values), { whole: reps }])) satisfies Form<tf.TileAttrs>,
  [tf.PadV2]: pad('constant'),
  [tf.GatherV2]: gather,
  [tf.OneHot]: oneHot,
  [tf.Einsum]: ((graph, { values, attrs: { equation } }) =>
    graph.node('Einsum', values, { equation })) satisfies Form<tf.EinsumAttrs>,
  [tf.BatchMatMul]: matMul,
  [tf.Conv2D]: convolution(false),
  [tf.DepthwiseConv2dNative]: convolution(true),
  [tf.AvgPool]: pool('AveragePool'),
  [tf.MaxPool]: pool('MaxPool'),
  [tf.ResizeBilinear]: resize('linear'),
  [tf.ResizeNearestNeighbor]: resize('nearest'),
};

/** Other views of the same values: they are no nodes. */
const VIEWS = [tf.Identity, tf.Reshape, tf.ExpandDims];

/** Records what a kernel does. @throws RangeError, by its name, where it has no form in ONNX. */
export function recordKernel(graph: Graph, { name, inputs: named, attrs, outputs }: KernelCall): void {
  const inputs = Object.values(named) as tf.TensorInfo[];
  if (VIEWS.includes(name)) {
    graph.alias(outputs[0] as tf.TensorInfo, inputs[0] as tf.TensorInfo);
    return;
  }
  const form = forms[name];
  if (!form)
    throw new RangeError(
      `the operation "${name}" of TensorFlow.js has no form in ONNX here; write the function with others.`,
    );
  const values = inputs.map((input) => graph.valueOf(input));
  const made = form(graph, { values, inputs, attrs: attrs as never, outputs });
  for (const [i, value] of [made].flat().entries()) graph.define(outputs[i] as tf.TensorInfo, value);
}
