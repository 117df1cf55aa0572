import { epsOf, type Guided, labels, type Model, tensorsOf } from '@logsnr/core';
import { apg, classifierFree, interval, rising } from '@logsnr/guidance';
import { bind, classCondition, dit, guidedCondition, mlp, preset, unet } from '@logsnr/networks';
import type { Network } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import * as ort from 'onnxruntime-web';
import { expect, test } from 'vitest';
import { difference, random, randomised } from '../../../test/modules.js';
import { rows } from '../../tensorflow/test/operations.js';
import { exportOnnx, type OnnxInputShape } from './index.js';

// One thread: its others would outlive the tests.
ort.env.wasm.numThreads = 1;

type Tensors = Readonly<Record<string, tf.Tensor>>;

/** What onnxruntime makes of a file, and of these inputs. */
async function run(file: Uint8Array, inputs: Tensors): Promise<Tensors> {
  const session = await ort.InferenceSession.create(file);
  const feeds = Object.entries(inputs).map(([name, tensor]) => {
    const data = tensor.dataSync();
    return [name, new ort.Tensor(tensor.dtype as 'float32', data as Float32Array, tensor.shape)] as const;
  });
  const outputs = await session.run(Object.fromEntries(feeds));
  await session.release();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, { type, data, dims }]) => [
      name,
      tf.tensor(data as Float32Array, [...dims], type as 'float32'),
    ]),
  );
}

const shapesOf = (inputs: Tensors, batch?: number): Record<string, OnnxInputShape> =>
  Object.fromEntries(
    Object.entries(inputs).map(([name, { shape, dtype }]) => [
      name,
      { shape: shape.map((size) => (size === batch ? null : size)), dtype: dtype as 'float32' },
    ]),
  );

/** Operations that networks and guidance do without. */
const refused = [
  ...['Atan2', 'AvgPool3D', 'BatchToSpaceND', 'Bincount', 'BitwiseAnd', 'BroadcastArgs', 'Complex'],
  ...['Conv2DBackpropInput', 'Conv3D', 'Conv3DBackpropInputV2', 'CropAndResize', 'Cumprod', 'Cumsum'],
  ...['DenseBincount', 'DepthToSpace', 'Diag', 'Dilation2D', 'Elu', 'FlipLeftRight', 'FloorDiv'],
  ...['FusedBatchNorm', 'FusedConv2D', 'FusedDepthwiseConv2D', 'GatherNd', 'IsFinite', 'LRN', 'LeakyRelu'],
  ...['MaxPool3D', 'MaxPoolWithArgmax', 'MirrorPad', 'Mod', 'NonMaxSuppressionV3', 'NonMaxSuppressionV4'],
  ...['NonMaxSuppressionV5', 'Prelu', 'RaggedGather', 'RaggedRange', 'RaggedTensorToTensor', 'Reverse'],
  ...['RotateWithOffset', 'ScatterNd', 'SearchSorted', 'Selu', 'SpaceToBatchND', 'SparseFillEmptyRows'],
  ...['SparseReshape', 'SparseSegmentMean', 'SparseSegmentSum', 'SparseToDense', 'Step', 'StridedSlice'],
  ...['TensorScatterUpdate', 'TopK', 'Transform', 'Unique', 'UnsortedSegmentSum', '_FusedMatMul'],
];

test('operations give in onnxruntime what they give here, or are refused by name', async () => {
  const missing = new Set<string>();
  const wrong: [string, number][] = [];
  let compared = 0;
  for (const [path, [call, ...args]] of Object.entries(rows)) {
    // The matrix of `qr` is singular, and its Q is NaN here as well.
    if (args.length === 0 || /Async$|^tf\.(string|dropout|multinomial|variable|randomGamma|linalg\.qr)/.test(path))
      continue;
    const given = args.map((argument) => argument(0));
    if (given.some(({ dtype }) => !['float32', 'int32', 'bool'].includes(dtype))) continue;
    const inputs = Object.fromEntries(given.map((tensor, i) => [`in${i}`, tensor]));
    const fn = (tensors: Tensors) => {
      const found = tensorsOf((call as (...tensors: tf.Tensor[]) => unknown)(...Object.values(tensors)));
      return Object.fromEntries(found.map((tensor, i) => [`out${i}`, tensor]));
    };
    let file: Uint8Array;
    try {
      file = exportOnnx(fn, shapesOf(inputs));
    } catch (error) {
      const name = /operation "(.*)"/.exec((error as Error).message)?.[1];
      if (name) missing.add(name);
      continue;
    }
    const [found, wanted] = [await run(file, inputs), fn(inputs)];
    for (const [name, tensor] of Object.entries(wanted)) {
      const other = found[name] as tf.Tensor;
      expect([path, other.shape, other.dtype]).toEqual([path, tensor.shape, tensor.dtype]);
      const far = difference(tf.cast(other, 'float32'), tf.cast(tensor, 'float32'));
      if (!(far < 1e-5)) wrong.push([path, far]);
    }
    compared++;
  }
  expect(wrong).toEqual([]);
  expect(compared).toBeGreaterThan(120);
  expect([...missing].sort()).toEqual(refused);
});

const classes = labels(10);
const mnist = preset('mnist');
const config = { ...mnist.network.config, base: 8, groups: 4 };
const small = unet(config);
const size = 4 * config.base;
const own = randomised(small);
const conditional = bind(small, own, { prediction: 'v' });
const taught: Network<Guided<tf.Tensor1D>> = unet(config, {
  condition: guidedCondition(classCondition(10, size), size),
});
const transformer = dit({
  ...{ height: 8, width: 8, channels: 2, classes: 10 },
  ...{ patch: 2, size: 16, depth: 2, heads: 4 },
});

interface Case {
  readonly shape: readonly number[];
  readonly eps: (inputs: Tensors) => tf.Tensor;
}
const as = (model: Model<tf.Tensor1D>) => (inputs: Tensors) =>
  epsOf(model)(inputs.z as tf.Tensor, inputs.lambda as tf.Tensor1D, inputs.labels as tf.Tensor1D);
const cases: Record<string, Case> = {
  'a U-Net with attention': { shape: [28, 28, 1], eps: as(conditional) },
  'a transformer': { shape: [8, 8, 2], eps: as(bind(transformer, randomised(transformer))) },
  'classifier-free guidance by APG, jointly': {
    shape: [28, 28, 1],
    eps: as(classifierFree(conditional, classes, 2, { rule: apg({ eta: 0, norm: 5 }) })),
  },
  'guidance on an interval whose weight rises': {
    shape: [3],
    eps: as(
      classifierFree(
        bind(...withParameters(mlp({ dimensions: 3, classes: 10, size: 16, depth: 2 }))),
        classes,
        interval(rising(3), { lambda: [-3, 3] }),
      ),
    ),
  },
  'a network that takes w': {
    shape: [28, 28, 1],
    eps: ({ w, ...inputs }) => {
      const model = bind(taught, randomised(taught));
      return epsOf(model)(inputs.z as tf.Tensor, inputs.lambda as tf.Tensor1D, {
        condition: inputs.labels as tf.Tensor1D,
        w: w as tf.Tensor1D,
      });
    },
  },
};
function withParameters(network: Network<tf.Tensor1D>) {
  return [network, randomised(network)] as const;
}

test.each(Object.entries(cases))(
  '%s gives in onnxruntime what it gives here, at batches of one and more',
  async (_, of) => {
    const { shape, eps } = of;
    const inputsOf = (n: number) => ({
      z: random(7, n, ...shape),
      lambda: tf.tensor1d([-5, 0.5, 2, 8, 1].slice(0, n)),
      labels: classes.of([3, 9, 0, 1, 2].slice(0, n)),
      ...(eps === cases['a network that takes w']?.eps && { w: tf.tensor1d([0, 1, 2.5, 4, 0].slice(0, n)) }),
    });
    const before = tf.memory().numTensors;
    const five = inputsOf(5);
    const file = exportOnnx((inputs) => ({ eps: tf.tidy(() => eps(inputs)) }), shapesOf(five, 5));
    tf.dispose(five);
    expect(tf.memory().numTensors).toBe(before);
    for (const n of [1, 5]) {
      const inputs = inputsOf(n);
      const { eps: found } = await run(file, inputs);
      const wanted = tf.tidy(() => eps(inputs));
      expect(difference(found as tf.Tensor, wanted)).toBeLessThan(1e-4);
    }
  },
);

test('what a file cannot hold is refused', () => {
  const x = { x: { shape: [null, 2] } } as const;
  expect(() => exportOnnx(({ x }) => ({ y: tf.add(x, x.dataSync()[0] as number) }), x)).toThrow(
    'shapes alone are known here: no tensor has values to be read.',
  );
  expect(() => exportOnnx(({ x }) => ({ y: tf.cumsum(x) }), x)).toThrow(
    '"Cumsum" of TensorFlow.js has no form in ONNX',
  );
  const more = ({ x }: { readonly x: tf.Tensor }) => ({
    y: Array.from({ length: x.shape[0] as number }, (_, i) => i).reduce((sum, i) => tf.add(sum, i), x),
  });
  expect(() => exportOnnx(more, x)).toThrow('does more than other shapes for another batch');
  expect(() => exportOnnx(({ x }) => ({ x }), x)).toThrow('an output is named "x"; it needs a name of its own');
  expect(() => exportOnnx(() => ({}), { '/x': { shape: [1] } })).toThrow('an input is named "/x"');
});
