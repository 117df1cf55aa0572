import { add, dispose, memory, mul, scalar, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { eager } from './index.js';

interface State {
  sum: Tensor;
  count: Tensor[];
}

const step = (state: State, by: Tensor) =>
  tidy(() => ({
    state: { sum: add(state.sum, by), count: [add(state.count[0] as Tensor, 1)] },
    result: mul(state.sum, 10),
  })) as never as { state: State; result: Tensor };
const number = (tensor: Tensor): number => tensor.dataSync()[0] as number;

test('an eager session keeps a state of its own', () => {
  const before = memory().numTensors;
  const first: State = { sum: scalar(1), count: [scalar(0)] };
  const by = scalar(2);
  const session = eager.session(step, first);
  dispose(first as never);
  const results = [session.run(by), session.run(by)];
  expect(results.map(number)).toEqual([10, 30]);
  const read = session.read();
  expect([number(read.sum), number(read.count[0] as Tensor)]).toEqual([5, 2]);
  const other = { sum: scalar(7), count: [scalar(1)] };
  session.write(other);
  dispose(other as never);
  results.push(session.run(by));
  expect(number(results[2] as Tensor)).toBe(70);
  session.dispose();
  session.dispose();
  expect(() => session.run(by)).toThrow('disposed');
  expect(() => session.read()).toThrow('disposed');
  dispose([...results, by, read] as never);
  expect(memory().numTensors).toBe(before);
});

test('a step that throws leaves the state as it was', () => {
  const first: State = { sum: scalar(1), count: [scalar(0)] };
  let fail = true;
  const session = eager.session<State, Tensor, Tensor>((state, by) => {
    if (fail) throw new Error('no');
    return step(state, by);
  }, first);
  const by = scalar(1);
  expect(() => session.run(by)).toThrow('no');
  fail = false;
  const result = session.run(by);
  expect(number(result)).toBe(10);
  session.dispose();
  dispose([result, by, first] as never);
});

test('eager jit is the function, which borrows its arguments, owns its results and frees the rest', () => {
  const double = eager.jit((x: Tensor, by: number) => ({ x, product: mul(mul(x, by), 1) }));
  const x = scalar(4);
  const before = memory().numTensors;
  const found = double(x, 2);
  expect(memory().numTensors).toBe(before + 2);
  expect(number(found.product)).toBe(8);
  dispose(found);
  expect(number(x)).toBe(4);
  double.dispose();
  dispose([double(x, 3), x] as never);
  expect(memory().numTensors).toBe(before - 1);
});
