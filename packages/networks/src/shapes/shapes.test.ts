import { tensorsOf } from '@logsnr/core';
import * as nn from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { expectNoLeak } from '../../../../test/no-leak.js';
import { rows } from '../../../tensorflow/test/operations.js';
import { type Meter, onShapes, rules } from './backend.js';

const silent: Meter = { multiplyAdds: () => undefined, buffer: () => () => undefined };

/** The types and shapes of what a call gives. */
function outputs(call: () => unknown): string {
  const given: string[] = [];
  tf.tidy(() => {
    for (const { dtype, shape } of tensorsOf(call())) given.push(`${dtype} [${shape.join(', ')}]`);
  });
  return given.join();
}

/** Operations for which nobody builds a layer of a network here. */
const refused = [
  ...['Bincount', 'BatchToSpaceND', 'SpaceToBatchND', 'BroadcastArgs', 'Diag', 'SparseToDense', 'Unique', 'Complex'],
  ...['Conv3D', 'Conv3DBackpropInputV2', 'Dilation2D', 'AvgPool3D', 'MaxPool3D', 'CropAndResize'],
  ...['NonMaxSuppressionV3', 'NonMaxSuppressionV5', 'NonMaxSuppressionV4', 'Multinomial'],
];

test('operations give the shapes and types that they give on the backend in use, or are refused by name', () => {
  const missing = new Set<string>();
  for (const [path, [call, ...args]] of Object.entries(rows)) {
    if (path.endsWith('Async') || path.startsWith('tf.string.')) continue;
    const run = () => (call as (...tensors: tf.Tensor[]) => unknown)(...args.map((argument) => argument(0)));
    let wanted: string;
    try {
      wanted = outputs(run);
    } catch {
      continue; // Not there on the backend in use either.
    }
    try {
      expect(
        onShapes(silent, () => outputs(run)),
        path,
      ).toBe(wanted);
    } catch (error) {
      const name = /the module uses the operation "(.*)", whose shapes/.exec((error as Error).message)?.[1];
      if (!name) throw error;
      missing.add(name);
    }
  }
  expect([...missing].sort()).toEqual([...refused].sort());
});

const x = () => tf.zeros([2, 6, 5, 4]) as tf.Tensor4D;
const matrix = () => tf.zeros([3, 5, 7]) as tf.Tensor3D;
const calls: Record<string, () => unknown> = {
  reductions: () => [tf.sum(x(), [1, -1], true), tf.max(x(), -2), tf.mean(x(), [1, 2]), tf.argMax(x(), 2)],
  tests: () => [tf.any(tf.notEqual(x(), 0), 0, true), tf.all(tf.less(x(), 1), [0, 3])],
  products: () => [tf.matMul(matrix(), matrix(), true), tf.matMul(matrix(), matrix(), false, true)],
  einsum: () => [tf.einsum('nij,nkj->nik', matrix(), matrix()), tf.einsum('nij->nji', matrix())],
  convolutions: () => [
    tf.conv2d(x(), tf.zeros([3, 3, 4, 8]), 2, 'same'),
    tf.conv2d(x(), tf.zeros([3, 2, 4, 8]), 1, 'valid'),
    tf.depthwiseConv2d(x(), tf.zeros([3, 3, 4, 2]), 2, 'same'),
  ],
  pooling: () => [tf.avgPool(x(), 2, 2, 'same'), tf.maxPool(x(), 3, 1, 'valid')],
  resizing: () => [tf.image.resizeBilinear(x(), [9, 2]), tf.image.resizeNearestNeighbor(x(), [12, 10])],
  slices: () => [
    tf.slice(x(), [0, 1, 2, 0], [-1, 2, -1, 3]),
    tf.stridedSlice(x(), [0, 1, 4, 0], [2, 6, 0, 4], [1, 2, -1, 1]),
  ],
  splits: () => [tf.split(x(), 2, -1), tf.split(x(), [1, 5], 1), tf.unstack(x(), 2)],
  joins: () => [tf.concat([x(), x()], -1), tf.stack([x(), x()], -1)],
  reshapes: () => [tf.expandDims(x(), -1), tf.squeeze(tf.zeros([1, 3, 1])), tf.reshape(x(), [2, -1])],
  gathers: () => [tf.gather(x(), tf.tensor2d([[0, 1]], [1, 2], 'int32'), 2), tf.gather(x(), [0, 1], -1)],
  placements: () => [tf.tile(x(), [1, 2, 1, 3]), tf.transpose(x(), [0, 3, 1, 2]), tf.depthToSpace(x(), 2)],
  paddings: () =>
    tf.pad(matrix(), [
      [0, 0],
      [1, 2],
      [3, 0],
    ]),
  sequences: () => [tf.range(0, 7, 2), tf.linspace(0, 1, 5), tf.fill([2, 3], 1, 'int32')],
  'one-hot rows': () => tf.oneHot(tf.range(0, 3, 1, 'int32'), 5),
  broadcasts: () => [tf.add(tf.zeros([3, 1]), tf.zeros([4])), tf.broadcastTo(tf.zeros([1, 3]), [4, 3])],
  types: () => [tf.mul(tf.scalar(2, 'int32'), tf.zeros([2])), tf.cast(x(), 'bool'), tf.topk(x(), 3)],
  choices: () => tf.where(tf.notEqual(x(), 0), x(), tf.zeros<tf.Rank.R4>([1, 1, 1, 4])),
};

test.each(Object.entries(calls))('%s have the shapes that they have on the backend in use', (_, call) => {
  expect(onShapes(silent, () => outputs(call))).toBe(outputs(call));
});

test('every kernel that this project names has its shapes', () => {
  const names = Object.entries(nn).flatMap(([name, kernel]) =>
    /^[A-Z0-9_]+$/.test(name) && typeof kernel === 'string' ? [kernel] : [],
  );
  expect(names).toHaveLength(12);
  for (const name of names) expect(Object.keys(rules)).toContain(name);
});

test('the backend before it is the current one again, also after an error', () => {
  const before = [tf.getBackend(), tf.backend()];
  expect(onShapes(silent, () => tf.getBackend())).not.toBe(before[0]);
  expect([tf.getBackend(), tf.backend()]).toEqual(before);
  const fails = () =>
    onShapes(silent, () => {
      throw new Error('no');
    });
  expect(fails).toThrow('no');
  expect(() => onShapes(silent, () => onShapes(silent, () => 0))).toThrow('calls what does so again');
  expect([tf.getBackend(), tf.backend()]).toEqual(before);
  expect(tf.engine().backendNames()).not.toContain('logsnr-shapes');
  expect(tf.getKernelsForBackend('logsnr-shapes')).toEqual([]);
});

test('tensors of the backend before it can be used, and stay as they are', () => {
  const own = tf.tensor1d([1, 2, 3]);
  expectNoLeak(() =>
    onShapes(silent, () => {
      tf.tidy(() => [tf.clone(own), tf.reshape(own, [3, 1]), tf.add(own, 1)].length);
    }),
  );
  expect([...own.dataSync()]).toEqual([1, 2, 3]);
});

test('values cannot be read', () => {
  expect(() => onShapes(silent, () => tf.tidy(() => tf.zeros([2]).dataSync()))).toThrow(/shapes alone are known/);
});

test('buffers that tensors share are told once, and freed with the last of them', () => {
  const events: string[] = [];
  const buffer = (bytes: number) => {
    events.push(`+${bytes}`);
    return () => {
      events.push(`-${bytes}`);
    };
  };
  onShapes({ ...silent, buffer }, (make) => {
    const a = make({ shape: [2, 3], dtype: 'float32' });
    const b = tf.reshape(a, [3, 2]);
    a.dispose();
    const c = tf.notEqual(b, b);
    b.dispose();
    c.dispose();
  });
  expect(events).toEqual(['+24', '+6', '-24', '-6']);
});
