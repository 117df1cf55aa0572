import { flatten, key, unflatten } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { difference, expectNoLeak, random, randomised } from '../../../test/modules.js';
import { module, operation, sequential } from './compose.js';
import { linear } from './layers.js';
import type { Parameters } from './module.js';
import { constant, shapesOf } from './parameters.js';

const parts = {
  first: linear(3, 4),
  twice: [linear(4, 4), undefined, linear(4, 4, { bias: false })],
  gain: constant([4], 1),
} as const;
const whole = module(parts, ({ first, twice, gain }, x: tf.Tensor) => {
  const y = first(x);
  return tf.mul(twice[2](twice[0](y)), gain);
});

describe('module', () => {
  test('nests the parameters of its parts under their names', () => {
    expect(shapesOf(whole)).toEqual({
      'first.kernel': [3, 4],
      'first.bias': [4],
      'twice.0.kernel': [4, 4],
      'twice.0.bias': [4],
      'twice.2.kernel': [4, 4],
      gain: [4],
    });
  });

  test('applies them with their parameters', () => {
    const parameters = randomised(whole);
    const own = flatten<tf.Tensor>(parameters);
    const x = random(1, 2, 3);
    const at = (name: string) => own[name] as tf.Tensor;
    const y = tf.add(tf.matMul(x, at('first.kernel')), at('first.bias'));
    const z = tf.matMul(tf.add(tf.matMul(y, at('twice.0.kernel')), at('twice.0.bias')), at('twice.2.kernel'));
    expect(difference(whole.apply(parameters, x), tf.mul(z, at('gain')))).toBeLessThan(1e-5);
    expectNoLeak(() => [whole.apply(parameters, x)]);
  });

  test('draws each parameter from the key and its path alone', () => {
    const init = (made: typeof whole, seed: number) => flatten<tf.Tensor>(made.init(key(seed)));
    const kernel = 'twice.0.kernel';
    // Another module with a part before it, and the same path.
    const other = module({ zeroth: linear(2, 2), twice: [linear(4, 4)] }, (_, x: tf.Tensor) => x.clone());
    const [a, b] = [init(whole, 1), flatten<tf.Tensor>(other.init(key(1)))];
    expect(difference(a[kernel] as tf.Tensor, b[kernel] as tf.Tensor)).toBe(0);
    expect(difference(init(whole, 2)[kernel] as tf.Tensor, b[kernel] as tf.Tensor)).toBeGreaterThan(0.1);
    expect(difference(a['twice.2.kernel'] as tf.Tensor, a[kernel] as tf.Tensor)).toBeGreaterThan(0.1);
    expectNoLeak(() => Object.values(init(whole, 1)));
  });

  test('tells each application of a module to whoever observes it, with its path', () => {
    const seen: string[] = [];
    const observe = <O>(path: string, run: () => O): O => {
      seen.push(`begin ${path}`);
      const output = run();
      seen.push(`end ${path}`);
      return output;
    };
    const parameters = randomised(whole);
    const x = random(1, 2, 3);
    const plain = whole.apply(parameters, x);
    expect(difference(whole.apply(parameters, x, { train: false, observe }), plain)).toBe(0);
    const inner = ['first', 'twice.0', 'twice.2'].flatMap((path) => [`begin ${path}`, `end ${path}`]);
    expect(seen).toEqual(['begin ', ...inner, 'end ']);
  });

  test('takes what a file gives, where lists are names', () => {
    const parameters = randomised(whole);
    const again = unflatten(flatten<tf.Tensor>(parameters)) as Parameters;
    const x = random(1, 2, 3);
    expect(difference(whole.apply(again, x), whole.apply(parameters, x))).toBe(0);
  });

  test('refuses parameters that do not fit, before any work', () => {
    const { first, ...rest } = randomised(whole);
    const x = random(1, 2, 3);
    expect(() => whole.apply(rest, x)).toThrow(/parameter "first.kernel" is missing; the module needs 6 parameters/);
    expect(() => whole.apply({ ...rest, first: { ...(first as object), bias: tf.zeros([5]) } } as never, x)).toThrow(
      /parameter "first.bias" has shape \[5\]; it must be \[4\]/,
    );
    expect(() => module({ 'a.b': linear(1, 1) }, (_, x: tf.Tensor) => x)).toThrow(/no dot/);
  });

  test('passes the context down, with the path of each part', () => {
    const paths: unknown[] = [];
    const spy = module({}, (_, x: tf.Tensor, { train, path }) => {
      paths.push([train, path]);
      return x;
    });
    const inner = module({ b: [spy, spy] }, ({ b }, x: tf.Tensor) => b[1](b[0](x)));
    module({ a: inner, c: spy }, ({ a, c }, x: tf.Tensor) => c(a(x))).apply({}, tf.scalar(1), { train: true });
    expect(paths).toEqual([
      [true, 'a.b.0'],
      [true, 'a.b.1'],
      [true, 'c'],
    ]);
  });
});

test('sequential is its modules one after another', () => {
  const made = sequential(linear(3, 4), operation(tf.relu), linear(4, 2));
  const parameters = randomised(made);
  const own = flatten<tf.Tensor>(parameters);
  expect(Object.keys(own)).toEqual(['0.kernel', '0.bias', '2.kernel', '2.bias']);
  const x = random(1, 5, 3);
  const at = (name: string) => own[name] as tf.Tensor;
  const hidden = tf.relu(tf.add(tf.matMul(x, at('0.kernel')), at('0.bias')));
  const expected = tf.add(tf.matMul(hidden, at('2.kernel')), at('2.bias'));
  expect(difference(made.apply(parameters, x) as tf.Tensor, expected)).toBeLessThan(1e-5);
});
