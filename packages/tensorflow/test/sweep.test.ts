import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { backendInfo } from '../src/backend.js';
import { functions } from '../src/compile/refuse.js';
import { OTHERS, rows } from './operations.js';
import { pageOf, sweep } from './sweep.js';

// Classes begin with a capital letter.
const operations = [...functions().keys()].filter((path) => /\.[a-z]\w*$/.test(path));

test('every function of TensorFlow.js is in the table of operations, or known to be none', () => {
  expect([...Object.keys(rows), ...OTHERS.map((name) => `tf.${name}`)].sort()).toEqual(operations.sort());
});

describe.runIf(backendInfo()?.backend === 'tensorflow')('operations', async () => {
  const outcomes = await sweep();

  test('compile with the values of eager, or are refused by name', () => {
    const unnamed = outcomes.flatMap(({ path, value, gradient }) =>
      [value, gradient].flatMap((result) =>
        result instanceof Error && !result.message.startsWith(`compile: ${path} cannot be compiled: `)
          ? [`${path}: ${result.message}`]
          : [],
      ),
    );
    expect(unnamed).toEqual([]);
  });

  test('that networks are made of compile with their gradients', () => {
    const names =
      'add sub mul div exp log sqrt square sigmoid tanh relu softmax logSoftmax matMul conv2d conv2dTranspose depthwiseConv2d avgPool maxPool gather slice pad concat split stack reshape transpose tile mean sum max where clipByValue image.resizeBilinear image.resizeNearestNeighbor losses.softmaxCrossEntropy';
    const without = names
      .split(' ')
      .filter((name) => outcomes.find(({ path }) => path === `tf.${name}`)?.gradient !== 'compiled');
    expect(without).toEqual([]);
  });

  test('are listed in docs/compile-ops.md as `pnpm compile-ops` writes it', () => {
    expect(readFileSync(new URL('../../../docs/compile-ops.md', import.meta.url), 'utf8')).toBe(pageOf(outcomes));
  });
});
