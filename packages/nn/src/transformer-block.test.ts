import { flatten, key, unflatten } from '@logsnr/core';
import { backendInfo, compile } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, onBackend, random, randomised } from '../../../test/modules.js';
import { expectSame } from '../test/expect-same.js';
import { layerNorm, linear } from './layers.js';
import type { Module, Parameters } from './module.js';
import * as ops from './ops/index.js';
import { type ModulatedInput, mlpBlock, modulatedLinear, transformerBlock } from './transformer-block.js';

const [n, t, size] = [2, 5, 8];
const input: ModulatedInput = { x: random(1, n, t, size), condition: random(2, n, size) };
type Block = Module<ModulatedInput, tf.Tensor3D>;

const norm = (x: tf.Tensor) => {
  const centred = tf.sub(x, tf.mean(x, 2, true));
  return tf.div(centred, tf.sqrt(tf.add(tf.mean(tf.square(centred), 2, true), 1e-6)));
};
const gelu = (x: tf.Tensor) => {
  const inner = tf.mul(tf.add(x, tf.mul(tf.pow(x, 3), 0.044715)), Math.sqrt(2 / Math.PI));
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
};

/** Values and gradients of a block by its input, its condition and every parameter, beside those of its definition. */
function holds(block: Block, definition: (x: tf.Tensor, moves: tf.Tensor[], map: Layers) => tf.Tensor) {
  const own = flatten<tf.Tensor>(randomised(block));
  const names = Object.keys(own);
  expectSame(
    (x, condition, ...values) => {
      const named = Object.fromEntries(names.map((name, i) => [name, values[i] as tf.Tensor]));
      return block.apply(unflatten(named) as Parameters, { x, condition } as ModulatedInput);
    },
    (x, condition, ...values) => {
      const at = (name: string) => values[names.indexOf(name)] as tf.Tensor;
      const map: Layers = (name, x) => {
        const [from, to] = at(`${name}.kernel`).shape as [number, number];
        const y = tf.matMul(tf.reshape(x, [-1, from]), at(`${name}.kernel`));
        return tf.reshape(tf.add(y, at(`${name}.bias`)), [...x.shape.slice(0, -1), to]);
      };
      const all = map('modulation', condition as tf.Tensor);
      const moves = tf.split(tf.reshape(all, [n, 1, -1]), (all.shape[1] as number) / size, 2);
      return definition(x as tf.Tensor, moves, map);
    },
    [input.x, input.condition, ...Object.values(own)],
    1e-4,
  );
}
type Layers = (name: string, x: tf.Tensor) => tf.Tensor;

const modulated = (x: tf.Tensor, shift: tf.Tensor, scale: tf.Tensor) =>
  tf.add(tf.mul(norm(x), tf.add(scale, 1)), shift);
const mlp = (map: Layers, x: tf.Tensor) => map('mlp2', gelu(map('mlp1', x)));
type Three = [tf.Tensor, tf.Tensor, tf.Tensor];

const definitions = {
  transformerBlock: () =>
    holds(transformerBlock(size, { heads: 2 }), (x, moves, map) => {
      const [shift1, scale1, gate1, shift2, scale2, gate2] = moves as [...Three, ...Three];
      const attended = ops.attention(map('qkv', modulated(x, shift1, scale1)) as tf.Tensor3D, 2, 'composed');
      const middle = tf.add(x, tf.mul(gate1, map('out', attended)));
      return tf.add(middle, tf.mul(gate2, mlp(map, modulated(middle, shift2, scale2))));
    }),
  mlpBlock: () =>
    holds(mlpBlock(size, { ratio: 2 }), (x, moves, map) => {
      const [shift, scale, gate] = moves as Three;
      return tf.add(x, tf.mul(gate, mlp(map, modulated(x, shift, scale))));
    }),
  modulatedLinear: () =>
    holds(modulatedLinear(size, 3), (x, [shift, scale], map) =>
      map('linear', modulated(x, shift as tf.Tensor, scale as tf.Tensor)),
    ),
};

describe.each(Object.entries(definitions))('%s', (_, check) => {
  test('is its definition, gradients included, on every backend', async () => {
    check();
    for (const backend of ['wasm', 'cpu'] as const) await onBackend(backend, check);
  });
});

test('fresh, a block is the identity and the last map gives 0; weights are within ±√(6/(in + out))', () => {
  const block = transformerBlock(size, { heads: 2 });
  const parameters = block.init(key(1));
  expect(difference(block.apply(parameters, input), input.x)).toBe(0);
  expect(difference(mlpBlock(size).apply(mlpBlock(size).init(key(1)), input), input.x)).toBe(0);
  const last = modulatedLinear(size, 3);
  expect(Math.max(...tf.abs(last.apply(last.init(key(1)), input)).dataSync())).toBe(0);
  const wide = linear(200, 100, { xavier: true }).init(key(2)).kernel as tf.Tensor;
  const bound = Math.sqrt(6 / 300);
  expect(tf.max(tf.abs(wide)).dataSync()[0]).toBeLessThanOrEqual(bound);
  // The variance of a uniform number within ±b is b²/3.
  expect((tf.moments(wide).variance.dataSync()[0] as number) / (bound ** 2 / 3)).toBeCloseTo(1, 1);
  expect(Math.abs(tf.mean(wide).dataSync()[0] as number)).toBeLessThan(bound / 50);
});

test('a block leaks nothing, and refuses heads that do not divide', () => {
  const block = transformerBlock(size, { heads: 4 });
  const parameters = randomised(block);
  expectNoLeak(() => Object.values(flatten<tf.Tensor>(block.init(key(1)))));
  expectNoLeak(() => [block.apply(parameters, input)]);
  expectNoLeak(() => [tf.grad((x) => block.apply(parameters, { ...input, x: x as tf.Tensor3D }))(input.x)]);
  expect(() => transformerBlock(size, { heads: 3 })).toThrow(/heads is 3, which does not divide 8 channels/);
});

test('layer norm as a layer has a gain and a bias, or neither', () => {
  const own = { gamma: random(3, size), beta: random(4, size) };
  const expected = tf.add(tf.mul(norm(input.x), own.gamma), own.beta);
  expect(difference(layerNorm(size, { epsilon: 1e-6 }).apply(own, input.x), expected)).toBeLessThan(1e-5);
  const bare = layerNorm(size, { gain: false, bias: false, epsilon: 1e-6 });
  expect(Object.keys(bare.parameters)).toEqual([]);
  expect(difference(bare.apply({}, input.x), norm(input.x))).toBeLessThan(1e-5);
});

describe.skipIf(backendInfo()?.backend !== 'tensorflow')('compiled', () => {
  const block = transformerBlock(32, { heads: 2 });
  const parameters = randomised(block);
  const x = random<tf.Tensor3D>(1, 4, 64, 32);
  const condition = random<tf.Tensor2D>(2, 4, 32);
  const both = (x: tf.Tensor3D) =>
    tf.tidy(() => {
      const run = (x: tf.Tensor) => block.apply(parameters, { x: x as tf.Tensor3D, condition });
      return { y: run(x), dx: tf.grad(run)(x) };
    });

  test('a block gives what it gives eagerly', () => {
    const compiled = compile(both);
    const [eager, got] = [both(x), compiled(x)];
    expect(difference(got.y, eager.y)).toBeLessThan(1e-5);
    expect(difference(got.dx, eager.dx)).toBeLessThan(1e-5);
    compiled.dispose();
  });
});
