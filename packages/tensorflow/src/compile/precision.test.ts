import { key, normal, unflatten } from '@logsnr/core';
import { type Module, ops, type Parameters, shapesOf, transformerBlock } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { backendInfo } from '../backend.js';
import { registerTensorflow } from '../native.js';
import { compile } from './compile.js';
import { savedModels } from './loader.js';
import type { Node } from './proto.js';

const BFLOAT16 = 14;
const random = <T extends tf.Tensor>(seed: number, ...shape: number[]) => normal(key(seed), shape) as T;

// Linear maps of fewer channels are float32 operations of this project's own.
const size = 128;
const block = transformerBlock(size, { heads: 2 });
const drawn = (module: Pick<Module<never, unknown>, 'parameters'>): Parameters => {
  const values = Object.entries(shapesOf(module)).map(([path, shape], i) => [path, tf.mul(random(i, ...shape), 0.1)]);
  return unflatten<tf.Tensor>(Object.fromEntries(values)) as Parameters;
};

const native = backendInfo()?.backend === 'tensorflow' && (await registerTensorflow()).operations !== null;

describe.runIf(native)('under bfloat16', () => {
  const [x, dy] = [random<tf.Tensor3D>(1, 2, 256, size), random(2, 2, 256, size)];
  const [condition, parameters] = [random<tf.Tensor2D>(3, 2, size), drawn(block)];
  const both = (f: (x: tf.Tensor) => tf.Tensor) => (x: tf.Tensor) => ({ y: f(x), dx: tf.grad(f)(x, dy) });
  const dit = both((x) => block.apply(parameters, { x: x as tf.Tensor3D, condition }));

  /** The operations of a function's graph, each with the types of its numbers. */
  const typesOf = (f: (x: tf.Tensor) => unknown) => {
    const types: (readonly [op: string, type: number | undefined])[] = [];
    const loader = {
      load(nodes: readonly Node[]) {
        types.push(...nodes.map(({ op, attr }) => [op, attr.T?.type] as const));
        return savedModels.load(nodes);
      },
    };
    const compiled = compile(f, { precision: 'bfloat16', loader });
    tf.dispose(compiled(x) as tf.Tensor[]);
    compiled.dispose();
    return types;
  };
  const image = (x: tf.Tensor) => tf.reshape(x, [2, 16, 16, size]) as tf.Tensor4D;
  const norm = { gamma: tf.ones([size]), beta: tf.zeros([size]) };

  test.each([
    ['DiT’s block', ['MatMul'], dit],
    [
      'composed attention',
      ['BatchMatMulV2'],
      both((x) => ops.attention(tf.concat([x, x, x], 2) as tf.Tensor3D, 2, 'composed')),
    ],
    ['composed group norm', [], both((x) => tf.reshape(ops.groupNorm(image(x), 4, norm, 'composed'), x.shape))],
  ] as const)('%s has norms and softmax in float32, and its products alone in bfloat16', (_, products, f) => {
    const types = typesOf(f);
    const narrow = new Set(types.flatMap(([op, type]) => (type === BFLOAT16 ? [op] : [])));
    expect([...narrow]).toEqual(products);
    const norms = types.filter(([op]) => ['Softmax', 'Mean', 'Rsqrt', 'Sum'].includes(op));
    expect(norms.length).toBeGreaterThan(0);
    for (const [, type] of norms) expect(type).toBe(1);
  });

  test('DiT’s block is near float32, and a layer norm keeps more digits than bfloat16 has', () => {
    const [exact, narrow] = [dit(x), compile(dit, { precision: 'bfloat16' })(x)];
    for (const name of ['y', 'dx'] as const) {
      const off = tf.max(tf.abs(tf.sub(narrow[name], exact[name]))).dataSync()[0] as number;
      expect(off / (tf.max(tf.abs(exact[name])).dataSync()[0] as number)).toBeLessThan(0.02);
    }
    // Deviations of 2⁻⁷ about 1000, of which bfloat16 sees none.
    const far = tf.add(tf.div(tf.round(tf.mul(x, 128)), 128), 1000);
    const layerNorm = (x: tf.Tensor) => ops.layerNorm(x);
    const got = compile(layerNorm, { precision: 'bfloat16' })(far);
    expect(tf.max(tf.abs(tf.sub(got, layerNorm(tf.sub(far, 1000))))).dataSync()[0]).toBeLessThan(1e-3);
  });
});
