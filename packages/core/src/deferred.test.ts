import { add, grad, memory, mul, scalar, sum, type Tensor, tensor1d } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { deferred, settle } from './index.js';

/** x → 2x, later, with a count of its calls. */
function doubling() {
  const asked: number[][] = [];
  const double = deferred(async (x: Tensor) => {
    asked.push([...(await x.data())]);
    await new Promise((resume) => setTimeout(resume, 0));
    return mul(x, 2);
  });
  return { double, asked };
}

test('a body is run again for each answer and asks for each of them once; nothing leaks', async () => {
  const { double, asked } = doubling();
  const x = tensor1d([1, 2]);
  let runs = 0;
  const before = memory().numTensors;
  const found = await settle(() => {
    runs++;
    const first = double(add(x, 1));
    return { sum: add(first, double(mul(first, 3))), name: 'kept' };
  });
  expect([...found.sum.dataSync()]).toEqual([4 + 24, 6 + 36]);
  expect(found.name).toBe('kept');
  expect(asked).toEqual([
    [2, 3],
    [12, 18],
  ]);
  expect(runs).toBe(3);
  found.sum.dispose();
  expect(memory().numTensors).toBe(before);
});

test('two bodies that are awaited together do not meet, and an answer may be a tree', async () => {
  const both = deferred(async (x: Tensor) => ({ plus: add(x, 1), times: [mul(x, 10)] }));
  const body = (x: number) => () => {
    const { plus, times } = both(scalar(x));
    return add(plus, both(times[0] as Tensor).plus);
  };
  const found = await Promise.all([settle(body(1)), settle(body(2))]);
  expect(found.map((tensor) => tensor.dataSync()[0])).toEqual([2 + 11, 3 + 21]);
});

test('an error of the network or of the body comes through, and nothing leaks', async () => {
  const fails = deferred(async (x: Tensor): Promise<Tensor> => {
    throw new RangeError(`no answer for ${await x.data()}`);
  });
  const { double } = doubling();
  const x = scalar(3);
  const before = memory().numTensors;
  await expect(settle(() => double(fails(mul(x, 2))))).rejects.toThrow(new RangeError('no answer for 6'));
  const body = () => {
    throw new RangeError(`after ${double(x).dataSync()}`);
  };
  await expect(settle(body)).rejects.toThrow('after 6');
  expect(memory().numTensors).toBe(before);
});

test('outside of settle, for a body that is not pure, and for a gradient, it says what to do', async () => {
  const { double } = doubling();
  expect(() => double(scalar(1))).toThrow('sample with sampleAsync or trajectoryAsync');
  let run = 0;
  const impure = () => double(run++ === 0 ? scalar(1) : tensor1d([1, 2]));
  await expect(settle(impure)).rejects.toThrow('it must be a pure function');
  const slope = () => grad((x: Tensor) => sum(double(x)))(scalar(1));
  await expect(settle(slope)).rejects.toThrow('so it has no gradient');
});
