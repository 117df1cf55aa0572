import { ADAM, GROUP_NORM, GROUP_NORM_GRADIENT } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { backendInfo } from './backend.js';

type Shapes = Readonly<Record<string, number[]>>;

/** Runs a kernel on ones of these shapes; the inputs named in `integers` have another type. */
const run = (kernel: string, shapes: Shapes, attrs: object, integers?: string): tf.Tensor[] => {
  const type = (name: string) => (name === integers ? 'int32' : 'float32');
  const inputs = Object.entries(shapes).map(([name, shape]) => [name, tf.ones(shape, type(name))] as const);
  return tf.engine().runKernel(kernel, Object.fromEntries(inputs), attrs as never) as unknown as tf.Tensor[];
};
const shapesOf = (tensors: readonly tf.Tensor[]) => tensors.map(({ shape }) => shape);

const inputs = { x: [2, 3, 2, 6], gamma: [6], beta: [6], bias: [6], scale: [2, 1, 1, 6], shift: [2, 1, 1, 6] };
const good = {
  [GROUP_NORM]: inputs,
  [GROUP_NORM_GRADIENT]: { dy: [2, 3, 2, 6], ...inputs, mean: [2, 3], rstd: [2, 3] },
  [ADAM]: { p: [3, 5], g: [3, 5], m: [3, 5], v: [3, 5], rate: [], epsilon: [], keep: [] },
};
const attrs = {
  [GROUP_NORM]: { groups: 3, silu: true },
  [GROUP_NORM_GRADIENT]: { groups: 3, silu: true },
  [ADAM]: { beta1: 0.9, beta2: 0.999 },
};
type Kernel = keyof typeof good;
const kernels: Kernel[] = [GROUP_NORM, GROUP_NORM_GRADIENT, ADAM];

/** Wrong shapes of one input, and what the refusal says is right. */
type Row = readonly [input: string, right: string, ...wrong: number[][]];
type Rows = readonly Row[];
const image = 'must have [n, h, w, c], with h, w and c of at least 1';
const film = 'must have [2, 1, 1, 6], one value a sample and channel of x, or [0] for none';
const films = [[12], [1, 1, 1, 6], [2, 1, 1, 5], []];
const grouped = 'must have [2, 3], one value a sample and group';
const scalar = 'must have [], the shape of a scalar';
const vector = 'must have [3, 5], the shape of p';
const norm: Rows = [
  ['x', `it ${image}`, [2, 3, 2, 0], [2, 0, 2, 6], [2, 3, 0, 6], [6, 6], [2, 3, 2, 6, 1], []],
  ['x', 'its sizes must multiply to less than 2^61', [0, 2 ** 32, 2 ** 32, 6], [0, 1, 10 ** 18, 6]],
  ['gamma', 'it must have [6], one value a channel of x', [0], [5], [7], [], [1, 6]],
  ['beta', 'it must have [6], one value a channel of x', [0], [5], [6, 1]],
  ['bias', 'it must have [6], one value a channel of x, or [0] for none', [5], [12], [0, 6]],
  ['scale', `it ${film}`, ...films],
  ['shift', `it ${film}`, ...films],
];
const wrong: Readonly<Record<Kernel, Rows>> = {
  [GROUP_NORM]: norm,
  [GROUP_NORM_GRADIENT]: [
    ...norm,
    ['dy', 'it must have [2, 3, 2, 6], the shape of x', [0], [72], [2, 2, 3, 6]],
    ['mean', `it ${grouped}`, [0], [5], [6], [3, 2]],
    ['rstd', `it ${grouped}`, [0], [5], [6], [3, 2]],
  ],
  [ADAM]: [
    ...['g', 'm', 'v'].map((input): Row => [input, `it ${vector}`, [0], [15], [5, 3], [3, 4], []]),
    ...['rate', 'epsilon', 'keep'].map((input): Row => [input, `it ${scalar}`, [0], [1], [2]]),
  ],
};

/** Fails unless the work ends with TensorFlow's status for an argument that is not accepted, number 3, and this text. */
function refused(work: () => tf.Tensor[], text: string): void {
  const before = tf.memory().numTensors;
  expect(() => tf.tidy(work), text).toThrow(`Invalid TF_Status: 3\nMessage: ${text}`);
  expect(tf.memory().numTensors).toBe(before);
}

describe.skipIf(backendInfo()?.backend !== 'tensorflow').each(kernels)('%s', (kernel) => {
  test('a wrong size of any input is refused, with what was given and what is accepted', () => {
    for (const [input, right, ...shapes] of wrong[kernel])
      for (const shape of shapes)
        refused(
          () => run(kernel, { ...good[kernel], [input]: shape }, attrs[kernel]),
          `${kernel}: ${input} has shape [${shape.join(', ')}]; ${right}`,
        );
  });

  test('so is a wrong attribute', () => {
    const cases =
      kernel === ADAM
        ? [
            [{ beta1: -0.5, beta2: 0.999 }, 'beta1 is -0.5; it must be from 0 to 1'] as const,
            [{ beta1: 0.9, beta2: Number.NaN }, 'beta2 is nan; it must be from 0 to 1'] as const,
          ]
        : [
            ...[4, 12, 2 ** 40].map(
              (groups) => [{ groups, silu: true }, `groups is ${groups}; it must divide the 6 channels of x`] as const,
            ),
            ...[0, -3].map((groups) => [{ groups, silu: true }, `groups is ${groups}; it must be at least 1`] as const),
          ];
    for (const [attrs, text] of cases) refused(() => run(kernel, good[kernel], attrs), `${kernel}: ${text}`);
    if (kernel !== ADAM)
      for (const groups of [1.5, Number.NaN])
        expect(() => tf.tidy(() => run(kernel, good[kernel], { groups, silu: true }))).toThrow(
          `${kernel}: groups is ${groups}; it must be an integer.`,
        );
  });

  test('and so is an input of integers', () => {
    for (const input of Object.keys(good[kernel]))
      expect(() => tf.tidy(() => run(kernel, good[kernel], attrs[kernel], input))).toThrow(kernel);
  });
});

describe.skipIf(backendInfo()?.backend !== 'tensorflow')('an empty batch', () => {
  const [none, group] = [
    [0, 1, 1, 6],
    [0, 3],
  ];
  const empty = { ...inputs, x: [0, 3, 2, 6], scale: none, shift: none };

  test('has an empty result', () => {
    tf.tidy(() => {
      expect(shapesOf(run(GROUP_NORM, empty, attrs[GROUP_NORM]))).toEqual([empty.x, group, group]);
      const vector = [0, 5];
      const moments = { ...good[ADAM], p: vector, g: vector, m: vector, v: vector };
      expect(shapesOf(run(ADAM, moments, attrs[ADAM]))).toEqual([vector, vector, vector]);
    });
  });

  test('has gradients of 0 in what it shares', () => {
    tf.tidy(() => {
      const given = { ...empty, dy: empty.x, mean: group, rstd: group };
      const gradients = run(GROUP_NORM_GRADIENT, given, attrs[GROUP_NORM_GRADIENT]);
      expect(shapesOf(gradients)).toEqual(Object.values(empty));
      expect(gradients.slice(1, 4).flatMap((gradient) => [...gradient.dataSync()])).toEqual(new Array(18).fill(0));
    });
  });
});
