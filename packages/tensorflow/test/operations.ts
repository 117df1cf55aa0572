// One call of every operation of TensorFlow.js that gives tensors. Each has two sets of arguments of the same shapes, so that
// a value frozen into a graph shows.
import * as tf from '@tensorflow/tfjs-core';

/** A tensor of each set of arguments. */
type Argument = (set: 0 | 1) => tf.Tensor;
type Call = (...tensors: never[]) => unknown;
/** A call, and its arguments. */
export type Row = readonly [call: Call, ...args: Argument[]];

/** Numbers of a fixed sequence in (0, 1). */
const spread = (set: number, i: number) => (((i + 1) * 37 + set * 11) % 53) / 53 + 1e-3;
const size = (shape: number[]) => tf.util.sizeFromShape(shape);
const numbers = (set: number, shape: number[], of: (u: number) => number) =>
  Array.from({ length: size(shape) }, (_, i) => of(spread(set, i)));

/** Numbers in (from, to). */
const within =
  (from: number, to: number) =>
  (...shape: number[]): Argument =>
  (set) =>
    tf.tensor(
      numbers(set, shape, (u) => from + u * (to - from)),
      shape,
    );
const f = within(-1, 1);
const positive = within(0.1, 0.9);
/** Integers in [0, below). */
const ints =
  (below: number, ...shape: number[]): Argument =>
  (set) =>
    tf.tensor(
      numbers(set, shape, (u) => Math.floor(u * below)),
      shape,
      'int32',
    );
const bools =
  (...shape: number[]): Argument =>
  (set) =>
    tf.tensor(
      numbers(set, shape, (u) => Number(u > 0.5)),
      shape,
      'bool',
    );
const given =
  (first: tf.TensorLike, second: tf.TensorLike, dtype: tf.DataType = 'float32'): Argument =>
  (set) =>
    tf.tensor(set ? second : first, undefined, dtype);

type T = tf.Tensor;
type T1 = tf.Tensor1D;
type T2 = tf.Tensor2D;
type T3 = tf.Tensor3D;
type T4 = tf.Tensor4D;
type T5 = tf.Tensor5D;

/** Rows of one kind, for operations of one name each. */
const each = (names: string, ...args: Argument[]): Record<string, Row> =>
  Object.fromEntries(
    names.split(' ').map((name) => {
      const call = name.split('.').reduce<unknown>((at, part) => (at as Record<string, unknown>)[part], tf) as Call;
      return [`tf.${name}`, [call, ...args]];
    }),
  );

const image = f(1, 6, 6, 2);
const volume = f(1, 4, 4, 4, 2);
const boxes = given(
  [
    [0, 0, 1, 1],
    [0, 0.1, 1, 1.1],
    [2, 2, 3, 3],
  ],
  [
    [0, 0, 1, 1],
    [5, 5, 6, 6],
    [2, 2, 3, 3],
  ],
);
const scores = given([0.9, 0.8, 0.7], [0.5, 0.6, 0.7]);
const complexOf = (x: T) => tf.complex(x, tf.neg(x));
const words = () => tf.tensor1d(['a b', 'c']);

const elementwise: Record<string, Row> = {
  ...each(
    'abs ceil cos cosh elu erf exp expm1 floor isFinite isInf isNaN leakyRelu logSigmoid neg relu relu6 round selu sigmoid sign sin sinh softplus square step tan tanh asinh atan clone onesLike zerosLike logSoftmax softmax',
    f(2, 3),
  ),
  ...each('acos asin atanh log log1p reciprocal rsqrt sqrt', positive(2, 3)),
  'tf.acosh': [tf.acosh, within(1, 3)(2, 3)],
  ...each('add sub mul div divNoNan atan2 greater greaterEqual less lessEqual equal notEqual', f(2, 3), f(3)),
  ...each('mod pow', positive(2, 3), positive(3)),
  'tf.floorDiv': [tf.floorDiv, ints(9, 4), (set) => tf.add(ints(3, 4)(set), tf.scalar(1, 'int32'))],
  'tf.bitwiseAnd': [tf.bitwiseAnd, ints(9, 4), ints(9, 4)],
  ...each('logicalAnd logicalOr logicalXor', bools(2, 3), bools(3)),
  'tf.logicalNot': [tf.logicalNot, bools(2, 3)],
  ...each('maximum minimum squaredDifference', f(2, 3), f(2, 3)),
  'tf.prelu': [tf.prelu, f(2, 3), f(3)],
  'tf.addN': [(a: T, b: T) => tf.addN([a, b]), f(2, 3), f(2, 3)],
  'tf.clipByValue': [(x: T) => tf.clipByValue(x, -0.5, 0.5), f(2, 3)],
  'tf.cast': [(x: T) => tf.cast(x, 'int32'), within(-3, 3)(2, 3)],
  'tf.where': [tf.where, bools(2, 3), f(2, 3), f(2, 3)],
  'tf.movingAverage': [(v: T, x: T) => tf.movingAverage(v, x, 0.9, undefined, false), f(2, 3), f(2, 3)],
  'tf.dropout': [(x: T) => tf.dropout(x, 0.5), f(2, 3)],
};

const reductions: Record<string, Row> = {
  ...each('max mean min prod sum logSumExp argMax argMin euclideanNorm norm moments', f(3, 4)),
  ...each('all any', bools(3, 4)),
  'tf.cumsum': [(x: T) => tf.cumsum(x, 1), f(3, 4)],
  'tf.cumprod': [(x: T) => tf.cumprod(x, 1), f(3, 4)],
  'tf.topk': [(x: T) => tf.topk(x, 2), f(3, 4)],
  'tf.inTopKAsync': [(x: T2, y: T1) => tf.inTopKAsync(x, y, 2), f(3, 4), ints(4, 3)],
  'tf.bincount': [(x: T1) => tf.bincount(x, tf.tensor1d([]), 5), ints(5, 6)],
  'tf.denseBincount': [(x: T1) => tf.denseBincount(x, tf.tensor1d([]), 5), ints(5, 6)],
  'tf.unsortedSegmentSum': [(x: T, ids: T1) => tf.unsortedSegmentSum(x, ids, 3), f(4, 2), ints(3, 4)],
  ...each('lowerBound upperBound searchSorted', given([1, 3, 5, 7], [2, 3, 4, 9]), given([0, 4, 6], [3, 5, 7])),
  'tf.math.confusionMatrix': [(a: T1, b: T1) => tf.math.confusionMatrix(a, b, 3), ints(3, 5), ints(3, 5)],
};

const shapes: Record<string, Row> = {
  'tf.batchToSpaceND': [
    (x: T) =>
      tf.batchToSpaceND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
    f(4, 2, 2, 1),
  ],
  'tf.spaceToBatchND': [
    (x: T) =>
      tf.spaceToBatchND(
        x,
        [2, 2],
        [
          [0, 0],
          [0, 0],
        ],
      ),
    f(1, 4, 4, 1),
  ],
  'tf.depthToSpace': [(x: T4) => tf.depthToSpace(x, 2), f(1, 2, 2, 4)],
  'tf.broadcastTo': [(x: T) => tf.broadcastTo(x, [2, 3]), f(3)],
  'tf.broadcastArgs': [tf.broadcastArgs, given([1, 3], [1, 3], 'int32'), given([2, 1], [2, 1], 'int32')],
  'tf.concat': [(a: T, b: T) => tf.concat([a, b], 1), f(2, 3), f(2, 2)],
  'tf.concat1d': [(a: T1, b: T1) => tf.concat1d([a, b]), f(3), f(2)],
  'tf.concat2d': [(a: T2, b: T2) => tf.concat2d([a, b], 1), f(2, 3), f(2, 2)],
  'tf.concat3d': [(a: T3, b: T3) => tf.concat3d([a, b], 1), f(2, 3, 2), f(2, 2, 2)],
  'tf.concat4d': [(a: T4, b: T4) => tf.concat4d([a, b], 1), f(2, 3, 2, 1), f(2, 2, 2, 1)],
  'tf.diag': [tf.diag, f(3)],
  'tf.ensureShape': [(x: T) => tf.ensureShape(x, [2, 3]), f(2, 3)],
  'tf.expandDims': [(x: T) => tf.expandDims(x, 1), f(2, 3)],
  'tf.squeeze': [(x: T) => tf.squeeze(x, [1]), f(2, 1, 3)],
  'tf.reshape': [(x: T) => tf.reshape(x, [3, 2]), f(2, 3)],
  'tf.reverse': [(x: T) => tf.reverse(x, 1), f(2, 3)],
  'tf.reverse1d': [tf.reverse1d, f(3)],
  'tf.reverse2d': [(x: T2) => tf.reverse2d(x, 1), f(2, 3)],
  'tf.reverse3d': [(x: T3) => tf.reverse3d(x, 1), f(2, 3, 2)],
  'tf.reverse4d': [(x: T4) => tf.reverse4d(x, 1), f(2, 3, 2, 1)],
  'tf.pad': [
    (x: T) =>
      tf.pad(
        x,
        [
          [1, 0],
          [0, 2],
        ],
        3,
      ),
    f(2, 3),
  ],
  'tf.pad1d': [(x: T1) => tf.pad1d(x, [1, 2]), f(3)],
  'tf.pad2d': [
    (x: T2) =>
      tf.pad2d(x, [
        [1, 0],
        [0, 2],
      ]),
    f(2, 3),
  ],
  'tf.pad3d': [
    (x: T3) =>
      tf.pad3d(x, [
        [1, 0],
        [0, 2],
        [0, 0],
      ]),
    f(2, 3, 1),
  ],
  'tf.pad4d': [
    (x: T4) =>
      tf.pad4d(x, [
        [1, 0],
        [0, 2],
        [0, 0],
        [1, 1],
      ]),
    f(2, 3, 1, 1),
  ],
  'tf.mirrorPad': [
    (x: T) =>
      tf.mirrorPad(
        x,
        [
          [1, 0],
          [0, 2],
        ],
        'reflect',
      ),
    f(3, 3),
  ],
  'tf.slice': [(x: T) => tf.slice(x, [0, 1], [2, 2]), f(2, 3)],
  'tf.slice1d': [(x: T1) => tf.slice1d(x, 1, 2), f(4)],
  'tf.slice2d': [(x: T2) => tf.slice2d(x, [0, 1], [2, 2]), f(2, 3)],
  'tf.slice3d': [(x: T3) => tf.slice3d(x, [0, 1, 0], [2, 2, 1]), f(2, 3, 1)],
  'tf.slice4d': [(x: T4) => tf.slice4d(x, [0, 1, 0, 0], [2, 2, 1, 1]), f(2, 3, 1, 1)],
  'tf.stridedSlice': [(x: T) => tf.stridedSlice(x, [0, 0], [3, 4], [2, 2]), f(3, 4)],
  'tf.split': [(x: T) => tf.split(x, [1, 3], 1), f(2, 4)],
  'tf.stack': [(a: T, b: T) => tf.stack([a, b], 1), f(2, 3), f(2, 3)],
  'tf.unstack': [(x: T) => tf.unstack(x, 1), f(2, 3)],
  'tf.tile': [(x: T) => tf.tile(x, [2, 1]), f(2, 3)],
  'tf.transpose': [(x: T) => tf.transpose(x, [1, 0]), f(2, 3)],
  'tf.meshgrid': [(a: T, b: T) => tf.meshgrid(a, b), f(2), f(3)],
  'tf.gather': [(x: T, at: T1) => tf.gather(x, at), f(4, 2), ints(4, 3)],
  'tf.gatherND': [tf.gatherND, f(4, 2), ints(2, 3, 2)],
  'tf.scatterND': [(at: T, x: T) => tf.scatterND(at, x, [5]), given([[0], [3]], [[1], [4]], 'int32'), f(2)],
  'tf.tensorScatterUpdate': [tf.tensorScatterUpdate, f(5), given([[0], [3]], [[1], [4]], 'int32'), f(2)],
  'tf.sparseToDense': [
    (at: T1, x: T1) => tf.sparseToDense(at, x, [5], tf.scalar(0)),
    given([0, 3], [1, 4], 'int32'),
    f(2),
  ],
  'tf.oneHot': [(x: T) => tf.oneHot(x, 4), ints(4, 5)],
  'tf.unique': [tf.unique, given([1, 1, 2], [1, 2, 3])],
  'tf.whereAsync': [tf.whereAsync, bools(2, 3)],
  'tf.booleanMaskAsync': [tf.booleanMaskAsync, f(2, 3), bools(2, 3)],
  'tf.setdiff1dAsync': [tf.setdiff1dAsync, f(4), f(3)],
};

const products: Record<string, Row> = {
  'tf.matMul': [(a: T2, b: T2) => tf.matMul(a, b), f(2, 3), f(3, 2)],
  'tf.fused.matMul': [(a: T2, b: T2) => tf.fused.matMul({ a, b, activation: 'relu' }), f(2, 3), f(3, 2)],
  ...each('dot', f(2, 3), f(3)),
  'tf.outerProduct': [tf.outerProduct, f(2), f(3)],
  'tf.einsum': [(a: T, b: T) => tf.einsum('ij,jk->ik', a, b), f(2, 3), f(3, 2)],
  'tf.linalg.bandPart': [(x: T) => tf.linalg.bandPart(x, 1, 0), f(3, 3)],
  'tf.linalg.gramSchmidt': [(x: T2) => tf.linalg.gramSchmidt(x), f(2, 3)],
  'tf.linalg.qr': [(x: T) => tf.linalg.qr(x), f(3, 3)],
  'tf.rfft': [(x: T) => tf.abs(tf.rfft(x)), f(2, 4)],
  'tf.complex': [(a: T, b: T) => tf.abs(tf.complex(a, b)), f(2, 3), f(2, 3)],
  'tf.real': [(x: T) => tf.real(complexOf(x)), f(2, 3)],
  'tf.imag': [(x: T) => tf.imag(complexOf(x)), f(2, 3)],
  'tf.fft': [(x: T) => tf.abs(tf.fft(complexOf(x))), f(2, 4)],
  'tf.ifft': [(x: T) => tf.abs(tf.ifft(complexOf(x))), f(2, 4)],
  'tf.irfft': [(x: T) => tf.irfft(complexOf(x)), f(2, 3)],
  'tf.signal.hammingWindow': [() => tf.signal.hammingWindow(5)],
  'tf.signal.hannWindow': [() => tf.signal.hannWindow(5)],
  'tf.signal.frame': [(x: T1) => tf.signal.frame(x, 3, 2), f(7)],
  'tf.signal.stft': [(x: T1) => tf.abs(tf.signal.stft(x, 4, 2)), f(8)],
  'tf.basicLSTMCell': [
    (x: T2, k: T2, b: T1, c: T2, h: T2) => tf.basicLSTMCell(tf.scalar(1), k, b, x, c, h),
    f(1, 2),
    f(5, 12),
    f(12),
    f(1, 3),
    f(1, 3),
  ],
  'tf.multiRNNCell': [
    (x: T2, c: T2, h: T2) => tf.multiRNNCell([(x, c, h) => [tf.add(c, x), tf.mul(h, x)]], x, [c], [h]),
    f(1, 3),
    f(1, 3),
    f(1, 3),
  ],
};

const convolutions: Record<string, Row> = {
  'tf.conv1d': [(x: T3, k: T3) => tf.conv1d(x, k, 1, 'same'), f(1, 6, 2), f(3, 2, 3)],
  'tf.conv2d': [(x: T4, k: T4) => tf.conv2d(x, k, 1, 'same'), image, f(3, 3, 2, 3)],
  'tf.fused.conv2d': [
    (x: T4, filter: T4, bias: T1) => tf.fused.conv2d({ x, filter, strides: 1, pad: 'same', bias, activation: 'relu' }),
    image,
    f(3, 3, 2, 3),
    f(3),
  ],
  'tf.conv2dTranspose': [(x: T4, k: T4) => tf.conv2dTranspose(x, k, [1, 12, 12, 3], 2, 'same'), image, f(3, 3, 3, 2)],
  'tf.conv3d': [(x: T5, k: T5) => tf.conv3d(x, k, 1, 'same'), volume, f(2, 2, 2, 2, 1)],
  'tf.conv3dTranspose': [
    (x: T5, k: T5) => tf.conv3dTranspose(x, k, [1, 8, 8, 8, 1], 2, 'same'),
    volume,
    f(2, 2, 2, 1, 2),
  ],
  'tf.depthwiseConv2d': [(x: T4, k: T4) => tf.depthwiseConv2d(x, k, 1, 'same'), image, f(3, 3, 2, 2)],
  'tf.fused.depthwiseConv2d': [
    (x: T4, filter: T4) => tf.fused.depthwiseConv2d({ x, filter, strides: 1, pad: 'same', activation: 'relu' }),
    image,
    f(3, 3, 2, 2),
  ],
  'tf.separableConv2d': [
    (x: T4, d: T4, p: T4) => tf.separableConv2d(x, d, p, 1, 'same'),
    image,
    f(3, 3, 2, 2),
    f(1, 1, 4, 3),
  ],
  'tf.dilation2d': [(x: T4, k: T3) => tf.dilation2d(x, k, 1, 'same'), image, f(2, 2, 2)],
  'tf.avgPool': [(x: T4) => tf.avgPool(x, 2, 2, 'same'), image],
  'tf.maxPool': [(x: T4) => tf.maxPool(x, 2, 2, 'same'), image],
  'tf.pool': [(x: T4) => tf.pool(x, 2, 'avg', 'same'), image],
  'tf.maxPoolWithArgmax': [(x: T4) => tf.maxPoolWithArgmax(x, 2, 2, 'same'), image],
  'tf.avgPool3d': [(x: T5) => tf.avgPool3d(x, 2, 2, 'same'), volume],
  'tf.maxPool3d': [(x: T5) => tf.maxPool3d(x, 2, 2, 'same'), volume],
  'tf.localResponseNormalization': [(x: T4) => tf.localResponseNormalization(x), image],
  'tf.batchNorm': [tf.batchNorm, image, f(2), positive(2), f(2), f(2)],
  'tf.batchNorm2d': [tf.batchNorm2d, f(3, 2), f(2), positive(2), f(2), f(2)],
  'tf.batchNorm3d': [tf.batchNorm3d, f(3, 2, 2), f(2), positive(2), f(2), f(2)],
  'tf.batchNorm4d': [tf.batchNorm4d, image, f(2), positive(2), f(2), f(2)],
};

const images: Record<string, Row> = {
  'tf.image.flipLeftRight': [tf.image.flipLeftRight, image],
  'tf.image.grayscaleToRGB': [tf.image.grayscaleToRGB, f(1, 4, 4, 1)],
  'tf.image.rgbToGrayscale': [tf.image.rgbToGrayscale, f(1, 4, 4, 3)],
  'tf.image.resizeBilinear': [(x: T4) => tf.image.resizeBilinear(x, [9, 4]), image],
  'tf.image.resizeNearestNeighbor': [(x: T4) => tf.image.resizeNearestNeighbor(x, [9, 4]), image],
  'tf.image.rotateWithOffset': [(x: T4) => tf.image.rotateWithOffset(x, 0.3), image],
  'tf.image.cropAndResize': [
    (x: T4, at: T2, which: T1) => tf.image.cropAndResize(x, at, which, [3, 3]),
    image,
    given([[0, 0, 0.5, 1]], [[0.2, 0, 1, 0.7]]),
    given([0], [0], 'int32'),
  ],
  'tf.image.threshold': [(x: T3) => tf.image.threshold(x, 'binary', false, 0.5), within(0, 255)(4, 4, 1)],
  'tf.image.transform': [
    (x: T4, by: T2) => tf.image.transform(x, by),
    image,
    given([[1, 0, 1, 0, 1, 0, 0, 0]], [[1, 0.2, 0, 0, 1, 1, 0, 0]]),
  ],
  'tf.image.nonMaxSuppression': [(b: T2, s: T1) => tf.image.nonMaxSuppression(b, s, 3), boxes, scores],
  'tf.image.nonMaxSuppressionAsync': [(b: T2, s: T1) => tf.image.nonMaxSuppressionAsync(b, s, 3), boxes, scores],
  'tf.image.nonMaxSuppressionWithScore': [
    (b: T2, s: T1) => tf.image.nonMaxSuppressionWithScore(b, s, 3),
    boxes,
    scores,
  ],
  'tf.image.nonMaxSuppressionWithScoreAsync': [
    (b: T2, s: T1) => tf.image.nonMaxSuppressionWithScoreAsync(b, s, 3),
    boxes,
    scores,
  ],
  'tf.image.nonMaxSuppressionPadded': [
    (b: T2, s: T1) => tf.image.nonMaxSuppressionPadded(b, s, 3, 0.5, 0, true),
    boxes,
    scores,
  ],
  'tf.image.nonMaxSuppressionPaddedAsync': [
    (b: T2, s: T1) => tf.image.nonMaxSuppressionPaddedAsync(b, s, 3, 0.5, 0, true),
    boxes,
    scores,
  ],
};

const losses: Record<string, Row> = {
  ...each(
    'losses.absoluteDifference losses.hingeLoss losses.huberLoss losses.logLoss losses.meanSquaredError losses.sigmoidCrossEntropy losses.softmaxCrossEntropy',
    positive(2, 3),
    positive(2, 3),
  ),
  'tf.losses.computeWeightedLoss': [tf.losses.computeWeightedLoss, f(2, 3), positive(2, 3)],
  'tf.losses.cosineDistance': [(a: T, b: T) => tf.losses.cosineDistance(a, b, 1), f(2, 3), f(2, 3)],
};

const sparse: Record<string, Row> = {
  'tf.sparse.sparseFillEmptyRows': [
    (at: T2, x: T1) => tf.sparse.sparseFillEmptyRows(at, x, [3, 2], 9),
    given(
      [
        [0, 0],
        [2, 1],
      ],
      [
        [0, 0],
        [0, 1],
      ],
      'int32',
    ),
    f(2),
  ],
  'tf.sparse.sparseReshape': [
    (at: T2) => tf.sparse.sparseReshape(at, [3, 2], [2, 3]),
    given(
      [
        [0, 0],
        [2, 1],
      ],
      [
        [0, 0],
        [0, 1],
      ],
      'int32',
    ),
  ],
  ...each(
    'sparse.sparseSegmentMean sparse.sparseSegmentSum',
    f(3, 2),
    given([0, 1, 2], [2, 1, 0], 'int32'),
    given([0, 0, 1], [0, 1, 2], 'int32'),
  ),
  'tf.raggedGather': [
    (x: T, at: T1) => tf.raggedGather([tf.tensor1d([0, 2, 3], 'int32')], x, at, 1),
    f(3),
    given([1, 0], [0, 0], 'int32'),
  ],
  'tf.raggedRange': [(to: T1) => tf.raggedRange(tf.tensor1d([0, 0]), to, tf.tensor1d([1, 1])), given([2, 3], [4, 1])],
  'tf.raggedTensorToTensor': [
    (x: T) => tf.raggedTensorToTensor([2, 2], x, 0, [tf.tensor1d([0, 2, 3], 'int32')], ['ROW_SPLITS']),
    f(3),
  ],
  'tf.string.stringNGrams': [
    () => tf.string.stringNGrams(words(), tf.tensor1d([0, 2], 'int32'), '|', [2], '', '', 0, false),
  ],
  'tf.string.stringSplit': [() => tf.string.stringSplit(words(), ' ')],
  'tf.string.stringToHashBucketFast': [() => tf.string.stringToHashBucketFast(words(), 10)],
  'tf.string.staticRegexReplace': [() => tf.string.staticRegexReplace(words(), 'a', 'b')],
};

const creation: Record<string, Row> = {
  'tf.eye': [() => tf.eye(3)],
  'tf.fill': [() => tf.fill([2, 3], 7)],
  'tf.linspace': [() => tf.linspace(0, 1, 5)],
  'tf.range': [() => tf.range(0, 5)],
  'tf.ones': [() => tf.ones([2, 3])],
  'tf.zeros': [() => tf.zeros([2, 3])],
  'tf.scalar': [() => tf.scalar(3)],
  'tf.tensor': [() => tf.tensor([1, 2, 3])],
  'tf.tensor1d': [() => tf.tensor1d([1, 2, 3])],
  'tf.tensor2d': [() => tf.tensor2d([[1, 2, 3]])],
  'tf.tensor3d': [() => tf.tensor3d([[[1, 2, 3]]])],
  'tf.tensor4d': [() => tf.tensor4d([[[[1, 2, 3]]]])],
  'tf.tensor5d': [() => tf.tensor5d([[[[[1, 2, 3]]]]])],
  'tf.tensor6d': [() => tf.tensor6d([[[[[[1, 2, 3]]]]]])],
  'tf.cosineWindow': [() => tf.cosineWindow(5, 0.5, 0.5)],
  'tf.rand': [() => tf.rand([3], Math.random)],
  'tf.randomGamma': [() => tf.randomGamma([3], 1)],
  'tf.randomNormal': [() => tf.randomNormal([3])],
  'tf.randomStandardNormal': [() => tf.randomStandardNormal([3])],
  'tf.randomUniform': [() => tf.randomUniform([3])],
  'tf.randomUniformInt': [() => tf.randomUniformInt([3], 0, 9)],
  'tf.truncatedNormal': [() => tf.truncatedNormal([3])],
  'tf.multinomial': [(x: T1) => tf.multinomial(x, 3), f(4)],
  'tf.variable': [(x: T) => tf.variable(x), f(2)],
};

/** Every operation, by how it is called. */
export const rows: Readonly<Record<string, Row>> = {
  ...elementwise,
  ...reductions,
  ...shapes,
  ...products,
  ...convolutions,
  ...images,
  ...losses,
  ...sparse,
  ...creation,
};

/** Functions of `tf` that are no operations on tensors. */
export const OTHERS =
  'backend buffer copyRegisteredKernels customGrad deprecationWarn disableDeprecationWarnings dispose disposeVariables enableDebugMode enableProdMode enclosingPowerOfTwo engine env findBackend findBackendFactory getBackend getGradient getKernel getKernelsForBackend grad grads keep memory nextFrame op print profile ready registerBackend registerGradient registerKernel removeBackend setBackend setPlatform sumOutType tidy time train unregisterGradient unregisterKernel upcastType valueAndGrad valueAndGrads variableGrads'.split(
    ' ',
  );
