import { dispose, scalar, tensor1d } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { flatten, isBranch, mapLeaves, mapTensors, tensorsOf, unflatten, zipTensors } from './index.js';

test('unflatten is the inverse of flatten', () => {
  const tree = { down: { 0: { kernel: 1, bias: 2 }, 1: { kernel: 3 } }, out: 4 };
  expect(flatten(tree)).toEqual({ 'down.0.kernel': 1, 'down.0.bias': 2, 'down.1.kernel': 3, out: 4 });
  expect(unflatten(flatten(tree))).toEqual(tree);
  expect(flatten([5, [6]])).toEqual({ '0': 5, '1.0': 6 });
  expect(unflatten(flatten(7))).toBe(7);
});

test('names from a file are names and nothing else', () => {
  const tree = unflatten({ '__proto__.polluted': 1, 'constructor.prototype.polluted': 2 }) as Record<string, unknown>;
  expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  expect(Object.keys(tree)).toEqual(['__proto__', 'constructor']);
  expect(flatten(tree as never)).toEqual(
    Object.fromEntries([
      ['__proto__.polluted', 1],
      ['constructor.prototype.polluted', 2],
    ]),
  );
});

test('paths that cannot be both are refused', () => {
  expect(() => flatten({ 'a.b': 1 })).toThrow('"a.b"');
  expect(() => flatten({ '': 1 })).toThrow(RangeError);
  expect(() => unflatten({ a: 1, 'a.b': 2 })).toThrow('leads through "a"');
  expect(() => unflatten({ 'a.b': 2, a: 1 })).toThrow('a leaf and a branch');
});

test('branches are plain objects and arrays; all else is a leaf', () => {
  class Own {}
  for (const branch of [{}, [], Object.create(null)]) expect(isBranch(branch)).toBe(true);
  for (const leaf of [new Own(), new Map(), null, 1, 'a', () => 1, new Float32Array(1)])
    expect(isBranch(leaf)).toBe(false);
  expect(mapLeaves({ a: [1, { b: 2 }] }, (leaf) => (leaf as number) + 1)).toEqual({ a: [2, { b: 3 }] });
});

test('tensors are found in order, and others are carried along', () => {
  const [a, b] = [scalar(1), tensor1d([2, 3])];
  const tree = { a, list: ['text', { b }] };
  expect(tensorsOf(tree)).toEqual([a, b]);
  expect(mapTensors(tree, (tensor) => tensor.size as never)).toEqual({ a: 1, list: ['text', { b: 2 }] });
  dispose([a, b]);
});

test('trees of one structure are joined place by place', () => {
  const [a, b, c, d] = [scalar(1), tensor1d([2, 3]), scalar(4), tensor1d([5])];
  const sizes = (x: { size: number }, y: { size: number }) => [x.size, y.size];
  const joined = zipTensors(
    [
      { a, list: ['text', { b }] },
      { a: c, list: ['other', { b: d }] },
    ] as const,
    sizes,
  );
  expect(joined).toEqual({ a: [1, 1], list: ['text', { b: [2, 1] }] });
  expect(zipTensors<null>([null, null], sizes)).toBeNull();
  dispose([a, b, c, d]);
});
