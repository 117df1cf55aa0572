import { flatten, unflatten } from '@logsnr/core';
import {
  conv,
  dropout,
  linear,
  type Module,
  module,
  operation,
  type Parameters,
  sequential,
  shapesOf,
} from '@logsnr/nn';
import { type Binding, backendInfo, nativeBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { expect, describe as group, test } from 'vitest';
import { randomised } from '../../../test/modules.js';
import { expectNoLeak } from '../../../test/no-leak.js';
import { convClassifier } from './conv-classifier.js';
import { describe, keeping } from './describe.js';
import { descriptionTable, readable } from './description-table.js';
import { dit, mlp } from './dit.js';
import { noisyClassifier } from './noisy-classifier.js';
import { onShapes } from './shapes/backend.js';
import { superResolution } from './super-resolution.js';
import { unet } from './unet.js';
import type { UnetConfig } from './unet-config.js';

const config: UnetConfig = {
  height: 16,
  width: 8,
  channels: 3,
  classes: 10,
  base: 16,
  multipliers: [1, 2, 2],
  blocks: 2,
  attention: [8, 4],
  headChannels: 16,
  groups: 8,
  dropout: 0.1,
};
const network = unet(config);
const input = (n: number) => ({
  z: tf.zeros([n, 16, 8, 3]),
  lambda: tf.zeros([n]) as tf.Tensor1D,
  condition: tf.zeros([n], 'int32') as tf.Tensor1D,
});
const image = (n: number) => tf.zeros([n, 16, 8, 3]) as tf.Tensor4D;

group('multiply-adds', () => {
  const of = <I>(layer: Module<I, unknown>, input: (n: number) => I) =>
    describe(layer, input, { batch: 5 }).multiplyAdds;

  test('of a convolution are the pixels that it gives, by the window, by the channels of both sides', () => {
    expect(of(conv(3, 7, { size: 5 }), image)).toBe(5 * 16 * 8 * 5 * 5 * 3 * 7);
    expect(of(conv(3, 7, { stride: 2, padding: 1 }), image)).toBe(5 * 8 * 4 * 3 * 3 * 3 * 7);
    // This one goes through the kernel of nn, which does fewer; it counts as a direct one.
    expect(of(conv(16, 32), (n) => tf.zeros([n, 16, 8, 16]) as tf.Tensor4D)).toBe(5 * 16 * 8 * 3 * 3 * 16 * 32);
  });

  test('of a linear map are its rows by its weight, through a kernel or the product', () => {
    for (const [from, to] of [
      [16, 32],
      [5, 7],
    ] as const)
      expect(of(linear(from, to), (n) => tf.zeros([n, 4, from]))).toBe(5 * 4 * from * to);
  });

  test('of a U-Net are those of its layers by hand', () => {
    const small = { ...config, multipliers: [1], blocks: 1, attention: [16], dropout: 0 };
    const convs = 3 * 16 + 6 * 16 * 16 + 2 * (32 * 16 + 16 * 16) + 16 * 3;
    const skips = 2 * 32 * 16;
    const attentions = 4 * (16 * 48 + 16 * 16 + 2 * 128 * 16);
    const vectors = 16 * 64 + 64 * 64 + 11 * 64 + 5 * 64 * 32;
    expect(of(unet(small), input)).toBe(5 * (128 * (9 * convs + skips + attentions) + vectors));
  });
});

test('layers add up to the whole, at every depth', () => {
  for (const depth of [1, 2, 3, Number.POSITIVE_INFINITY]) {
    const all = describe(network, input, { batch: 3, depth });
    for (const count of ['parameters', 'multiplyAdds', 'activationBytes'] as const) {
      expect(all[count]).toBeGreaterThan(0);
      expect(all.layers.reduce((sum, layer) => sum + layer[count], 0)).toBe(all[count]);
      expect(all[count]).toBe(describe(network, input, { batch: 3 })[count]);
    }
    expect(new Set(all.layers.map(({ path }) => path)).size).toBe(all.layers.length);
  }
  const { parameters, outputs, batch } = describe(network, input, { batch: 3 });
  const made = Object.values(flatten<tf.Tensor>(network.init({ words: [0, 1] })));
  expect(parameters).toBe(made.reduce((sum, { size }) => sum + size, 0));
  expect([outputs, batch]).toEqual([[[3, 16, 8, 3]], 3]);
  tf.dispose(made);
});

test('a layer that is used without being applied stands beside its neighbours', () => {
  const paths = describe(network, input, { depth: 5 }).layers.map(({ path }) => path);
  const at = paths.indexOf('down.0.block.0');
  const names = ['', '.norm1', '.conv1', '.film', '.norm2', '.conv2', '.dropout'];
  expect(paths.slice(at, at + 7).sort()).toEqual(names.map((name) => `down.0.block.0${name}`).sort());
});

test('a module that is not made by `module` is one layer', () => {
  const plain: Module<tf.Tensor, tf.Tensor> = { parameters: {}, init: () => ({}), apply: (_, x) => tf.matMul(x, x) };
  const { layers, multiplyAdds } = describe(plain, (n) => tf.zeros([n, 4, 4]), { batch: 2 });
  expect(multiplyAdds).toBe(2 * 4 ** 3);
  expect(layers.map(({ path, outputs }) => [path, outputs])).toEqual([['', [[2, 4, 4]]]]);
});

test('classifiers are described, of which one gives several tensors', () => {
  const noisy = describe(noisyClassifier(config), input);
  expect(noisy.outputs).toEqual([[1, 10]]);
  const { outputs, multiplyAdds } = describe(convClassifier({ ...config, widths: [16, 32] }), image);
  expect(outputs).toEqual([
    [1, 10],
    [1, 64],
  ]);
  expect(multiplyAdds).toBe(9 * (8 * 4 * 12 * 16 + 4 * 2 * 16 * 32) + 4 * 2 * 32 * 64 + 64 * 10);
});

test('the peak of a forward pass is what it holds at once', () => {
  const layers = sequential(
    operation((x: tf.Tensor) => tf.exp(x)),
    operation((x: tf.Tensor) => tf.tidy(() => tf.sum(tf.square(x)))),
  );
  // The second is within a tidy, but x and its exponential stay until the end: 24 + 24 + 4.
  expect(describe(layers, () => tf.zeros([2, 3])).peakBytes).toBe(24 + 24 + 4);
});

group('the backend in use', () => {
  const failing = (at: 'any' | 'training'): Module<tf.Tensor, tf.Tensor> =>
    module({ map: linear(4, 4), drop: dropout<tf.Tensor>(0.5) }, ({ map, drop }, x, { train }) => {
      const y = drop(map(x));
      if (at === 'any' || train) throw new Error('the layer has a fault');
      return y;
    });

  test('stays in use, and nothing is left, also after an error', () => {
    const before = tf.getBackend();
    expectNoLeak(() => void describe(network, input));
    for (const at of ['any', 'training'] as const)
      expectNoLeak(() => {
        expect(() => describe(failing(at), () => tf.zeros([2, 4]))).toThrow('the layer has a fault');
      });
    expect(tf.getBackend()).toBe(before);
    expect(tf.square(3).dataSync()[0]).toBe(9);
  });

  test('may own tensors of the module, of its input, and of a tidy or a gradient around', () => {
    const own = tf.tensor2d([[1, 2]]);
    const adding = operation((x: tf.Tensor) => tf.add(tf.clone(x), own));
    let bytes = 0;
    const slope = tf.grad((x: tf.Tensor) => {
      const y = tf.mul(x, own);
      bytes = describe(adding, () => own).activationBytes;
      return tf.sum(tf.square(y));
    })(tf.tensor2d([[1, 1]]));
    expect(bytes).toBe(8);
    expect([...slope.dataSync()]).toEqual([2, 8]);
    expect([...own.dataSync()]).toEqual([1, 2]);
  });
});

test('what cannot be described is an error', () => {
  const of = (f: (x: tf.Tensor) => unknown) => () => describe(operation(f), () => tf.zeros([2, 3]));
  expect(of((x) => tf.complex(x, x))).toThrow(/the operation "Complex", whose shapes are not known/);
  expect(of((x) => x.dataSync())).toThrow(/shapes alone are known/);
  expect(() => describe(network, input, { batch: 0 })).toThrow(/batch is 0/);
  expect(() => describe(network, input, { depth: 1.5 })).toThrow(/depth is 1.5/);
  expect(() => describe(network, (n) => ({ ...input(n), z: tf.zeros([n, 8, 8, 3]) }))).toThrow(
    /z has shape \[1, 8, 8, 3\]/,
  );
});

test('gradients that are not registered are an error, since nothing would be kept for them', () => {
  const gradient = tf.getGradient(tf.Multiply);
  tf.unregisterGradient(tf.Multiply);
  try {
    expect(() => describe(network, input)).toThrow(/has no gradients here.*import a backend first/);
  } finally {
    tf.registerGradient(gradient);
  }
});

test('gradients have their shapes too', () => {
  const paths = Object.entries(shapesOf(network));
  onShapes({ multiplyAdds: () => undefined, buffer: () => () => undefined }, (make) =>
    tf.tidy(() => {
      const run = (...own: tf.Tensor[]) => {
        const parameters = unflatten(Object.fromEntries(paths.map(([path], i) => [path, own[i] as tf.Tensor])));
        const key = tf.zeros([2], 'int32') as tf.Tensor1D;
        return network.apply(parameters as Parameters, input(2), { train: true, key });
      };
      const values = paths.map(([, shape]) => make({ shape, dtype: 'float32' }));
      expect(
        tf
          .grads(run as never)(values)
          .map(({ shape }) => shape),
      ).toEqual(paths.map(([, shape]) => shape));
    }),
  );
});

group.runIf(backendInfo()?.backend === 'tensorflow' && backendInfo()?.device === 'cpu')('activation memory', () => {
  /** Bytes of the library's buffers that were made during `body` and are still there when it asks. */
  function counted<T>(body: (alive: () => number) => T): T {
    const backend = nativeBackend();
    const { binding } = backend;
    const buffers = new Map<number, { bytes: number } | undefined>();
    const sizeOf = (shape: readonly number[], dtype: number) =>
      shape.reduce((all, size) => all * size, dtype === binding.TF_BOOL ? 1 : 4);
    const counting: Pick<Binding, 'createTensor' | 'deleteTensor' | 'executeOp'> = {
      createTensor(shape, dtype, values) {
        const id = binding.createTensor(shape, dtype, values);
        buffers.set(id, { bytes: sizeOf(shape, dtype) });
        return id;
      },
      deleteTensor(id) {
        buffers.delete(id);
        binding.deleteTensor(id);
      },
      executeOp(name, attrs, inputs, outputs) {
        const made = binding.executeOp(name, attrs, inputs, outputs);
        const shared = ['Reshape', 'ExpandDims'].includes(name);
        for (const { id, shape, dtype } of made)
          buffers.set(id, shared ? buffers.get(inputs[0] as number) : { bytes: sizeOf(shape, dtype) });
        return made;
      },
    };
    backend.binding = Object.create(binding, Object.getOwnPropertyDescriptors(counting));
    try {
      return body(() => [...new Set(buffers.values())].reduce((sum, buffer) => sum + (buffer?.bytes ?? 0), 0));
    } finally {
      backend.binding = binding;
    }
  }

  const measured = <I>(of: Module<I, unknown>, given: I): number => {
    const parameters = randomised(of as Module<never, unknown>) as Parameters;
    const context = { train: true, key: tf.tensor1d([1, 2], 'int32') };
    // Values that wait to be written are written here.
    tf.tidy(() => void of.apply(parameters, given, context));
    let bytes = 0;
    counted((alive) =>
      keeping(
        () => of.apply(parameters, given, context),
        () => {
          bytes = alive();
        },
      ),
    );
    return bytes;
  };

  test('is to the byte what the native backend keeps of a training step', () => {
    const sized = { classes: 10, size: 64, depth: 2 };
    const transformer = dit({ ...sized, height: 16, width: 8, channels: 3, patch: 2, heads: 2 });
    const points = (n: number) => ({ ...input(n), z: tf.zeros([n, 2]) });
    const expectEqual = <I>(of: Module<I, unknown>, given: (n: number) => I): void => {
      for (const batch of [1, 3])
        expect(describe(of, given, { batch }).activationBytes).toBe(
          measured(
            of,
            tf.tidy(() => given(batch) as never),
          ),
        );
    };
    expectEqual(network, input);
    expectEqual(noisyClassifier(config), input);
    expectEqual(convClassifier({ ...config, widths: [16, 32] }), image);
    expectEqual(transformer, input);
    expectEqual(mlp({ ...sized, dimensions: 2 }), points);
    const published = { ...config, resample: 'residual', skipBias: true, pool: 'attention', outputs: 6 } as const;
    expectEqual(noisyClassifier(published), input);
    const { pool, ...adm } = published;
    expectEqual(superResolution({ ...adm, low: { height: 4, width: 4 }, noise: true }), (n) => ({
      ...input(n),
      condition: { image: tf.zeros<tf.Rank.R4>([n, 4, 4, 3]), lambda: input(n).lambda, label: input(n).condition },
    }));
  });
});

test('a table has a row a layer, readable numbers and the sums', () => {
  const small = module({ first: conv(3, 64), map: linear(64, 10) }, ({ first, map }, x: tf.Tensor4D) =>
    map(tf.mean(first(x), [1, 2])),
  );
  expect(descriptionTable(describe(small, image)).split('\n')).toEqual([
    'layer     output     parameters  multiply-adds  activations',
    '───────────────────────────────────────────────────────────',
    '(itself)  1×10                0              0        256 B',
    'first     1×16×8×64     1.792 k        221.2 k     32.77 kB',
    'map       1×10              650            640         40 B',
    '───────────────────────────────────────────────────────────',
    'total     1×10          2.442 k        221.8 k     33.06 kB',
  ]);
  expect([0, 999, 1000, 123456, 295904454, 999960, 4.2e18].map((value) => readable(value))).toEqual([
    ...['0', '999', '1.000 k', '123.5 k', '295.9 M', '1.000 M', '4200 P'],
  ]);
});
