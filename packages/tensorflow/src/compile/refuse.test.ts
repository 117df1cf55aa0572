import { key, normal } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { backendInfo } from '../backend.js';
import { nativeBackend } from '../native.js';
import { compile } from './compile.js';
import { session } from './session.js';

/** Two classes of a user's; their values and tensors are not plain data. */
class Weights {
  constructor(readonly w: unknown) {}
}
const a = tf.tensor1d([1, 2]);
const state = () => ({ w: tf.scalar(1) });
const step = ({ w }: { w: tf.Tensor }) => ({ state: { w: tf.add(w, 1) }, result: tf.neg(w) });

test('what is no function is refused before it is called', () => {
  expect(() => compile(3 as never)).toThrow('compile takes a function, not 3.');
  expect(() => session({} as never, state())).toThrow('session takes a step, a function, not [object Object].');
});

describe.runIf(backendInfo()?.backend === 'tensorflow')(
  'what cannot be compiled is refused by name, and nothing is left',
  () => {
    const variable = tf.variable(tf.tensor1d([0, 0]), false, 'a variable of a test');
    const outside = session(step, state());
    const gone = tf.tensor1d([1, 2]);
    gone.dispose();
    const strings = tf.tensor1d(['a', 'b']);
    tf.tile(strings, [2]).dispose(); // it is in the library now

    test.each<[string, (a: tf.Tensor) => unknown, string]>([
      ['a read', (a) => (tf.sum(a).dataSync()[0] ? a : tf.neg(a)), 'reads the values of the result of tf.sum (data,'],
      ['a read of an argument', (a) => tf.mul(a, a.arraySync() as number[]), 'reads the values of an argument (data,'],
      ['a print', (a) => tf.tidy(() => tf.print(tf.exp(a))), 'reads the values of the result of tf.exp (data,'],
      ['a read without await', (a) => [tf.sum(a).data(), a][1], 'reads the values of the result of tf.sum (data,'],
      ['an operation that reads', (a) => tf.whereAsync(tf.greater(a, 1)), 'tf.whereAsync cannot be compiled: it reads'],
      ['an operation with a shape of values', (a) => tf.unique(a).values, 'tf.unique cannot be compiled: its shape'],
      ['a draw in JavaScript', () => Math.random(), 'a random draw in JavaScript cannot be compiled'],
      [
        'a draw of TensorFlow.js',
        (a) => tf.add(a, tf.randomNormal([2])),
        'tf.randomNormal cannot be compiled: its draw',
      ],
      ['keyed noise', (a) => tf.add(a, tf.reshape(normal(key(0), [1, 2]), [2])), 'the same noise at every replay'],
      ['what TensorFlow refuses', () => tf.log1p(tf.scalar(1, 'int32')), 'compile: tf.log1p: Invalid TF_Status'],
      ['closed-over strings', () => tf.tile(strings, [2]), 'tf.tile cannot be compiled: a graph holds numbers'],
      ['strings', () => tf.slice(tf.tensor1d(['a', 'b']), 1), 'tf.slice cannot be compiled: a graph holds numbers'],
      [
        'a change of a variable',
        (a) => [variable.assign(a as tf.Tensor1D), a][1],
        'Variable.assign cannot be compiled',
      ],
      ['a variable of its own', (a) => tf.variable(a), 'tf.variable cannot be compiled'],
      ['an asynchronous function', async (a) => tf.neg(a), 'the function is asynchronous'],
      ['one that reads after a while', async (a) => (await tf.exp(a).data())[0], 'the result of tf.exp'],
      ['one that fails after a while', async () => Promise.reject(new Error('no')), 'the function is asynchronous'],
      [
        'a closed-over tensor that is gone',
        (a) => tf.add(a, gone),
        'tf.add is given a tensor that has been disposed of',
      ],
      ['its shape changed', () => tf.reshape(gone, [2, 1]), 'tf.reshape is given a tensor that has been disposed of'],
      ['a result that is gone', (a) => [a.dispose(), a][1], 'a tensor of shape [2] has been disposed of'],
      ['a result that is no plain data', (a) => new Map([['a', a]]), 'holds a value of type Map'],
      ['a session inside', () => session(step, state()).run({}), 'session: it is used inside a compiled function'],
      ['a run of a session', () => outside.run({}), 'session: it is used inside a compiled function'],
      ['a read of a session', () => outside.read(), 'session: it is used inside a compiled function'],
    ])('%s', async (_, fn, message) => {
      const counts = () => [tf.memory().numTensors, nativeBackend().binding.getNumOfTensors()];
      tf.add(variable, a).dispose(); // every tensor is on the device now
      const before = counts();
      const compiled = compile((a: tf.Tensor) => fn(a));
      expect(() => compiled(a)).toThrow(message);
      await new Promise((resolve) => setTimeout(resolve)); // a rejection that nobody handles would end the process
      expect(counts()).toEqual(before);
      // The backend is as it was, and works.
      expect([...tf.add(a, 1).dataSync()]).toEqual([2, 3]);
      expect([...variable.dataSync()]).toEqual([0, 0]);
      expect(Math.random()).toBeLessThan(1);
    });

    test.each<[string, unknown, string]>([
      ['a class instance', new Weights(2), 'holds a value of type Weights'],
      ['a class instance with a tensor', new Weights(a), 'holds a value of type Weights'],
      ['a Map', new Map([['w', a]]), 'holds a value of type Map'],
      ['a Set', [new Set([1])], 'holds a value of type Set'],
      ['a Date', { at: new Date(0) }, 'holds a value of type Date'],
      ['a buffer', new ArrayBuffer(8), 'holds a value of type ArrayBuffer'],
      ['a symbol', Symbol('w'), 'holds a value of type symbol'],
      ['a tensor that is gone', gone, 'a tensor of shape [2] has been disposed of'],
    ])('an argument that is %s', (_, argument, message) => {
      const compiled = compile((a: tf.Tensor, _: unknown) => tf.neg(a));
      expect(() => compiled(a, argument)).toThrow(message);
      expect(compiled.captures()).toBe(0);
    });

    test('but values that depend on no argument can be read', () => {
      const scale = tf.tensor1d([2, 3]);
      const compiled = compile((a: tf.Tensor) => tf.mul(a, tf.sum(scale).dataSync()[0] as number));
      for (const k of [1, 2]) expect([...compiled(tf.tensor1d([k, 0])).dataSync()]).toEqual([5 * k, 0]);
    });
  },
);
