import { mul, type Tensor, tensor, tensor1d, tensor2d } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import { alpha, bind, clipX, combine, convert, type EpsModel, labels, type Prediction, sigma, toEps } from './index.js';

const [x, eps] = [0.7, -1.3];
const truth = (lambda: number) => {
  const [a, s] = [alpha(lambda), sigma(lambda)];
  return { z: a * x + s * eps, eps, x, v: a * eps - s * x, score: -eps / s };
};
const predictions: Prediction[] = ['eps', 'x', 'v', 'score'];

describe('convert', () => {
  test.each(predictions.flatMap((from) => predictions.map((to) => [from, to] as const)))('%s → %s', (from, to) => {
    for (const lambda of [-6, -1, 0, 2, 6]) {
      const value = truth(lambda);
      const { z, output } = convert(from, to, lambda);
      expect(Math.abs(z * value.z + output * value[from] - value[to])).toBeLessThan(1e-11);
    }
  });

  test('x from v stays accurate where x from ε cannot', () => {
    const { z, output } = convert('v', 'x', -40);
    expect(z * truth(-40).z + output * truth(-40).v).toBeCloseTo(x, 12);
  });

  test('refuses what it does not know', () => {
    expect(() => convert('eps', 'noise' as Prediction, 0)).toThrow(/"eps", "x", "v" and "score"/);
  });
});

describe('toEps', () => {
  test.each(predictions)('makes ε of %s for every sample’s own λ', (prediction) => {
    const lambdas = [-4, 0, 3];
    const z = tensor2d(lambdas.map((lambda) => [truth(lambda).z]));
    const model: EpsModel<null> = () => tensor2d(lambdas.map((lambda) => [truth(lambda)[prediction]]));
    const lambda = tensor1d(lambdas);
    for (const value of toEps(model, prediction)(z, lambda, null).dataSync()) expect(value).toBeCloseTo(eps, 5);
    expectNoLeak(() => toEps(model, prediction)(z, lambda, null));
  });

  test('refuses an unknown prediction and λ of another length', () => {
    const model: EpsModel<null> = (z) => z.clone();
    expect(() => toEps(model, 'noise' as Prediction)).toThrow(/prediction is "noise"/);
    expect(() => toEps(model, 'v')(tensor2d([[1]]), tensor1d([0, 1]), null)).toThrow(
      'lambda has shape [2]; it must be [1]',
    );
  });
});

describe('clipX', () => {
  const constant: EpsModel<null> = (z) => mul(z, 0.25);
  const z = tensor2d([[0.3], [4]]);
  const lambda = tensor1d([1, 1]);

  test('leaves ε alone within the bounds and moves x̂ onto them outside', () => {
    const [inside, outside] = clipX(constant)(z, lambda, null).dataSync();
    expect(inside).toBe(constant(z, lambda, null).dataSync()[0]);
    expect((4 - sigma(1) * (outside as number)) / alpha(1)).toBeCloseTo(1, 5);
  });

  test('leaks nothing and refuses bounds out of order', () => {
    expectNoLeak(() => clipX(constant)(z, lambda, null));
    expect(() => clipX(constant, 1, 1)).toThrow(/the bounds are \[1, 1\]/);
  });
});

test('bind joins a network, its parameters and what its output stands for', () => {
  const parameters = { gain: tensor([2]) };
  const network = {
    shapes: { gain: [1] },
    init: () => parameters,
    apply: (p: Readonly<Record<string, Tensor>>, z: Tensor) => mul(z, p.gain as Tensor),
  };
  const z = tensor2d([[0.5]]);
  const lambda = tensor1d([0]);
  expect(bind(network, parameters)(z, lambda, null).dataSync()[0]).toBe(1);
  expect(bind(network, parameters, 'v')(z, lambda, null).dataSync()[0]).toBeCloseTo(Math.SQRT1_2 * 1.5, 6);
});

describe('labels', () => {
  const classes = labels(10);

  test('∅ is the label after the last', () => {
    const c = classes.of([3, 9, 0]);
    expect([...classes.drop(c, tensor1d([0, 1, 0])).dataSync()]).toEqual([3, 10, 0]);
    expect([...classes.none(c).dataSync()]).toEqual([10, 10, 10]);
    expect([...classes.concat(c, classes.none(c)).dataSync()]).toEqual([3, 9, 0, 10, 10, 10]);
    expect(classes.drop(c, tensor1d([1, 1, 1])).dtype).toBe('int32');
    for (const make of [() => classes.drop(c, tensor1d([0, 1, 0])), () => classes.none(c), () => classes.of([1])]) {
      if (make().dtype !== 'int32') throw new Error('labels are int32');
    }
  });

  test('a label out of range, or none, is refused', () => {
    expect(() => classes.of([3, 10])).toThrow('label 10 at position 1 is out of range; labels are integers in [0, 9].');
    expect(() => classes.of([Number.NaN])).toThrow(/label NaN at position 0/);
    expect(() => classes.of([1.5])).toThrow(/label 1.5/);
    expect(() => labels(0)).toThrow(/classes is 0/);
    expect(() => classes.drop(classes.of([1]), tensor1d([0, 1]))).toThrow(/mask has shape \[2\]/);
  });

  test('leaks nothing', () => {
    const c = classes.of([3, 9]);
    const mask = tensor1d([0, 1]);
    expectNoLeak(() => [classes.of([1]), classes.drop(c, mask), classes.none(c), classes.concat(c, c)]);
  });
});

describe('combine', () => {
  test('is the weighted sum, on tensors and on float64 numbers', () => {
    expect([...combine([2, Float64Array.of(1, 2)], [-0.5, Float64Array.of(4, 0)])]).toEqual([0, 4]);
    expect([...combine([2, tensor1d([1, 2])], [-0.5, tensor1d([4, 0])]).dataSync()]).toEqual([0, 4]);
  });

  test('a coefficient of 0 keeps infinities out, and 1 alone is the value bit for bit', () => {
    expect([...combine([1, Float64Array.of(0.1)], [0, Float64Array.of(Number.POSITIVE_INFINITY)])]).toEqual([0.1]);
    expect([...combine([0, Float64Array.of(3)])]).toEqual([0]);
    const value = tensor1d([0.1, Number.MIN_VALUE]);
    expect([...combine([1, value], [0, value]).dataSync()]).toEqual([...value.dataSync()]);
    expect([...combine([0, value]).dataSync()]).toEqual([0, 0]);
  });

  test('the result is always the caller’s own', () => {
    const value = tensor1d([1]);
    expectNoLeak(() => combine([1, value]));
    expectNoLeak(() => combine([0, value]));
    expectNoLeak(() => combine([0.5, value], [2, value], [1, value]));
    const numbers = Float64Array.of(1);
    expect(combine([1, numbers])).not.toBe(numbers);
  });

  test('refuses coefficients that are not finite and lengths that differ', () => {
    expect(() => combine([Number.NaN, Float64Array.of(1)])).toThrow(/a coefficient is NaN/);
    expect(() => combine([1, Float64Array.of(1)], [1, Float64Array.of(1, 2)])).toThrow(/lengths must agree/);
  });
});
