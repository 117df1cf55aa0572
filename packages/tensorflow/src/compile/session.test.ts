import type { SessionStep } from '@logsnr/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { backendInfo } from '../backend.js';
import { nativeBackend } from '../native.js';
import { compile } from './compile.js';
import { session } from './session.js';

type State = Record<'weights' | 'speed' | 'count', tf.Tensor>;

/** Momentum descent on ½‖w − target‖², with a step counter. */
const descend: SessionStep<State, { target: tf.Tensor }, tf.Scalar> = (state, { target }) =>
  tf.tidy(() => {
    const { weights, speed, count } = state;
    const error = tf.sub(weights, tf.mean(target, 0));
    const next = tf.add(tf.mul(speed, 0.9), tf.mul(error, 0.1));
    return {
      state: { weights: tf.sub(weights, next), speed: next, count: tf.add(count, tf.scalar(1, 'int32')) },
      result: tf.mean(tf.square(error)) as tf.Scalar,
    };
  }) as never;
const first = (): State => ({ weights: tf.tensor1d([1, -2, 3]), speed: tf.zeros([3]), count: tf.scalar(0, 'int32') });
const target = (n = 2) => ({ target: tf.fill([n, 3], 0.5) });
const numbers = (state: State) => Object.values(state).map((value) => [...value.dataSync()]);

describe.runIf(backendInfo()?.backend === 'tensorflow')('a session', () => {
  test('is the eager one over 20 steps, losses and state', () => {
    const compiled = session(descend, first());
    let state: State = first();
    for (let step = 0; step < 20; step++) {
      const eager = descend(state, target());
      state = eager.state;
      expect(compiled.run(target()).dataSync()[0]).toBeCloseTo(eager.result.dataSync()[0] as number, 6);
    }
    numbers(compiled.read()).forEach((values, i) => {
      values.forEach((value, j) => {
        expect(value).toBeCloseTo(numbers(state)[i]?.[j] as number, 6);
      });
    });
    expect(compiled.captures()).toBe(1);
    compiled.dispose();
  });

  test('reads its state back and goes on from a state that is loaded', () => {
    const compiled = session(descend, first());
    for (let step = 0; step < 3; step++) compiled.run(target());
    const saved = compiled.read();
    const losses = [0, 1, 2].map(() => compiled.run(target()).dataSync()[0]);
    compiled.write(saved);
    expect([0, 1, 2].map(() => compiled.run(target()).dataSync()[0])).toEqual(losses);
    const other = session(descend, first());
    other.write(saved); // before its first run
    expect([0, 1, 2].map(() => other.run(target()).dataSync()[0])).toEqual(losses);
    expect(saved.count?.dataSync()[0]).toBe(3); // a copy, not a view of the variable
  });

  test('takes its state along to inputs of another shape, and back', () => {
    const compiled = session(descend, first(), { cacheSize: 1 });
    for (const n of [2, 3, 2]) compiled.run(target(n));
    expect(compiled.read().count?.dataSync()[0]).toBe(3);
    let state: State = first();
    for (let step = 0; step < 3; step++) state = descend(state, target()).state;
    compiled
      .read()
      .weights?.dataSync()
      .forEach((value: number, i: number) => {
        expect(value).toBeCloseTo(state.weights?.dataSync()[i] as number, 6);
      });
  });

  test('takes a closed-over variable as it is, and keeps its state when that is assigned', () => {
    const rate = tf.variable(tf.scalar(1));
    const sum = session(({ total }: { total: tf.Tensor }) => ({ state: { total: tf.add(total, rate) }, result: 0 }), {
      total: tf.scalar(0),
    });
    sum.run({});
    sum.run({});
    rate.assign(tf.scalar(10));
    sum.run({});
    expect(sum.read().total.dataSync()[0]).toBe(12);
    sum.dispose();
    rate.dispose();
  });

  test('leaks nothing', () => {
    const [start, inputs] = [first(), target()];
    const counts = () => [tf.memory().numTensors, nativeBackend().binding.getNumOfTensors()];
    tf.dispose(Object.values(start).map((value) => tf.add(value, value))); // every tensor is on the device now
    const before = counts();
    const compiled = session(descend, start);
    for (let step = 0; step < 3; step++) compiled.run(inputs).dispose();
    tf.dispose(compiled.read() as never);
    compiled.write(start);
    compiled.run(inputs).dispose();
    compiled.dispose();
    expect(counts()).toEqual(before);
  });

  test('is as before after a step that fails in the middle', () => {
    const table = tf.ones([5]);
    const step = ({ sum, count }: { sum: tf.Tensor; count: tf.Tensor }, at: tf.Tensor) => ({
      state: { count: tf.add(count, 1), sum: tf.add(sum, tf.sum(tf.gather(table, at as tf.Tensor1D))) },
      result: tf.neg(count),
    });
    const sums = session(step, { count: tf.scalar(0), sum: tf.scalar(0) });
    sums.run(tf.tensor1d([1, 2], 'int32'));
    for (let run = 0; run < 20; run++)
      expect(() => sums.run(tf.tensor1d([1, 7], 'int32'))).toThrow(/^compile: tf.gather: .*not in \[0, 5\)/);
    const { count, sum } = sums.read();
    expect([count.dataSync()[0], sum.dataSync()[0]]).toEqual([1, 2]);
    sums.dispose();
  });

  test('may run a compiled function in its step', () => {
    const twice = compile((a: tf.Tensor) => tf.add(a, a));
    const doubling = session(({ a }: { a: tf.Tensor }) => ({ state: { a: twice(a) }, result: tf.neg(a) }), {
      a: tf.scalar(1),
    });
    for (const a of [1, 2, 4]) expect(doubling.run({}).dataSync()[0]).toBe(-a);
    expect(twice.captures()).toBe(0);
    doubling.dispose();
  });

  test('refuses to run under a gradient, which would not see it', () => {
    const sum = session(({ a }: { a: tf.Tensor }, b: tf.Tensor) => ({ state: { a }, result: tf.add(a, b) }), {
      a: tf.scalar(1),
    });
    const slope = tf.grad((b: tf.Tensor) => tf.add(sum.run(b), b));
    expect(() => slope(tf.scalar(1))).toThrow('session: it is used inside a compiled function or a gradient');
    expect(sum.run(tf.scalar(1)).dataSync()[0]).toBe(2);
    sum.dispose();
  });

  test('refuses a state without tensors', () => {
    expect(() => session(() => ({ state: {}, result: tf.scalar(0) }), {})).toThrow('the first state holds no tensor');
  });

  test('refuses a state of other names or shapes', () => {
    const compiled = session(descend, first());
    expect(() => compiled.write({ weights: tf.scalar(1) } as never)).toThrow(
      /write: the state is .* it must be like the first/,
    );
    const wrong = session(() => ({ state: { weights: tf.zeros([2]) }, result: tf.scalar(0) }), {
      weights: tf.zeros([3]),
    });
    expect(() => wrong.run({})).toThrow(/the step returned the state .*float32\[2\].* like the first/);
  });
});
