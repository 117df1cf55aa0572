import {
  ADAM,
  ATTENTION,
  ATTENTION_GRADIENT,
  CONV_3X3,
  CONV_3X3_FILTER_GRADIENT,
  CONV_3X3_INPUT_GRADIENT,
  GROUP_NORM,
  GROUP_NORM_GRADIENT,
} from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { backendInfo } from './backend.js';

type Shapes = Readonly<Record<string, number[]>>;

/** Runs a kernel on ones of these shapes; the inputs named in `integers` have another type. */
const run = (kernel: string, shapes: Shapes, attrs: object, integers?: string): tf.Tensor[] => {
  const type = (name: string) => (name === integers ? 'int32' : 'float32');
  const inputs = Object.entries(shapes).map(([name, shape]) => [name, tf.ones(shape, type(name))] as const);
  return [tf.engine().runKernel(kernel, Object.fromEntries(inputs), attrs as never)].flat() as tf.Tensor[];
};
const shapesOf = (tensors: readonly tf.Tensor[]) => tensors.map(({ shape }) => shape);

const inputs = { x: [2, 3, 2, 6], gamma: [6], beta: [6], bias: [6], scale: [2, 1, 1, 6], shift: [2, 1, 1, 6] };
const good = {
  [GROUP_NORM]: inputs,
  [GROUP_NORM_GRADIENT]: { dy: [2, 3, 2, 6], ...inputs, mean: [2, 3], rstd: [2, 3] },
  [ADAM]: { p: [3, 5], g: [3, 5], m: [3, 5], v: [3, 5], rate: [], epsilon: [], keep: [] },
  [CONV_3X3]: { x: [2, 5, 3, 16], kernel: [3, 3, 16, 32], bias: [32], residual: [2, 5, 3, 32] },
  [CONV_3X3_INPUT_GRADIENT]: { dy: [2, 5, 3, 32], kernel: [3, 3, 16, 32] },
  [CONV_3X3_FILTER_GRADIENT]: { x: [2, 5, 3, 16], dy: [2, 5, 3, 32] },
  [ATTENTION]: { qkv: [2, 5, 18] },
  [ATTENTION_GRADIENT]: { dy: [2, 5, 6], qkv: [2, 5, 18] },
};
const attrs = {
  [GROUP_NORM]: { groups: 3, silu: true, epsilon: 1e-5 },
  [GROUP_NORM_GRADIENT]: { groups: 3, silu: true, epsilon: 1e-5 },
  [ADAM]: { beta1: 0.9, beta2: 0.999 },
  [CONV_3X3]: {},
  [CONV_3X3_INPUT_GRADIENT]: {},
  [CONV_3X3_FILTER_GRADIENT]: {},
  [ATTENTION]: { heads: 3 },
  [ATTENTION_GRADIENT]: { heads: 3 },
};
type Kernel = keyof typeof good;
const kernels = Object.keys(good) as Kernel[];

/** Wrong shapes of one input, and what the refusal says is right. */
type Row = readonly [input: string, right: string, ...wrong: number[][]];
type Rows = readonly Row[];
const image = 'must have [n, h, w, c], with h, w and c of at least 1';
const film = 'must have [2, 1, 1, 6], one value a sample and channel of x, or [0] for none';
const films = [[12], [1, 1, 1, 6], [2, 1, 1, 5], []];
const grouped = 'must have [2, 3], one value a sample and group';
const scalar = 'must have [], the shape of a scalar';
const vector = 'must have [3, 5], the shape of p';
const sixteen = 'its channels must be a multiple of 16 up to 1048576';
const images = (input: string): Row[] => [
  [input, `it ${image}`, [2, 5, 3, 0], [2, 0, 3, 16], [2, 5, 0, 16], [5, 3, 16], []],
  [input, 'its sizes must multiply to less than 2^61', [0, 2 ** 32, 2 ** 32, 16]],
  [input, sixteen, [2, 5, 3, 1], [2, 5, 3, 8], [2, 5, 3, 17], [0, 5, 3, 2 ** 21]],
];
const filters = (right: string, ...wrong: number[][]): Row[] => [
  ['kernel', `it must have ${right}`, [0], [1, 1, 16, 32], [3, 2, 16, 32], [3, 3, 16], ...wrong],
];
const norm: Rows = [
  ['x', `it ${image}`, [2, 3, 2, 0], [2, 0, 2, 6], [2, 3, 0, 6], [6, 6], [2, 3, 2, 6, 1], []],
  ['x', 'its sizes must multiply to less than 2^61', [0, 2 ** 32, 2 ** 32, 6], [0, 1, 10 ** 18, 6]],
  ['gamma', 'it must have [6], one value a channel of x', [0], [5], [7], [], [1, 6]],
  ['beta', 'it must have [6], one value a channel of x', [0], [5], [6, 1]],
  ['bias', 'it must have [6], one value a channel of x, or [0] for none', [5], [12], [0, 6]],
  ['bias', 'it must have [2, 1, 1, 6], one value a sample and channel of x', [1, 1, 1, 6], [2, 1, 1, 5]],
  ['scale', `it ${film}`, ...films],
  ['shift', `it ${film}`, ...films],
];
const tokens: Rows = [
  [
    'qkv',
    'it must have [n, t, 3c], with t of at least 1 and c a multiple of 3, the heads',
    ...[[2, 0, 18], [2, 5, 0], [2, 5, 15], [5, 18], [2, 5, 3, 18], []],
  ],
  ['qkv', 'its sizes must multiply to less than 2^61', [0, 2 ** 40, 9 * 2 ** 40]],
];
const wrong: Readonly<Record<Kernel, Rows>> = {
  [GROUP_NORM]: norm,
  [GROUP_NORM_GRADIENT]: [
    ...norm,
    ['dy', 'it must have [2, 3, 2, 6], the shape of x', [0], [72], [2, 2, 3, 6]],
    ['mean', `it ${grouped}`, [0], [5], [6], [3, 2]],
    ['rstd', `it ${grouped}`, [0], [5], [6], [3, 2]],
  ],
  [CONV_3X3]: [
    ...images('x'),
    ...filters('[3, 3, c, to], c the channels of x', [3, 3, 32, 16]),
    ['kernel', sixteen, [3, 3, 16, 8], [3, 3, 16, 0]],
    ['bias', 'it must have [32], one value a channel of y, or [0] for none', [16], [1, 32], []],
    ['residual', 'it must have [2, 5, 3, 32], the shape of y, or [0] for none', [2, 5, 3, 16], [2, 3, 5, 32], [32]],
  ],
  [CONV_3X3_INPUT_GRADIENT]: [
    ...images('dy'),
    ...filters('[3, 3, from, c], c the channels of dy', [3, 3, 32, 16]),
    ['kernel', sixteen, [3, 3, 8, 32], [3, 3, 0, 32]],
  ],
  [CONV_3X3_FILTER_GRADIENT]: [
    ...images('x'),
    ...images('dy'),
    ['dy', 'it must have [n, h, w, to], n, h and w those of x, [2, 5, 3, 16]', [1, 5, 3, 32], [2, 3, 5, 32]],
  ],
  [ATTENTION]: tokens,
  [ATTENTION_GRADIENT]: [
    ...tokens,
    ['dy', "it must have [2, 5, 6], a third of qkv's channels", [0], [2, 5, 18], [2, 6, 5], [1, 5, 6], [2, 5, 6, 1]],
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
        : !('groups' in attrs[kernel])
          ? []
          : [
              ...[4, 12, 2 ** 40].map(
                (groups) =>
                  [
                    { groups, silu: true, epsilon: 1e-5 },
                    `groups is ${groups}; it must divide the 6 channels of x`,
                  ] as const,
              ),
              ...[0, -3].map(
                (groups) =>
                  [{ groups, silu: true, epsilon: 1e-5 }, `groups is ${groups}; it must be at least 1`] as const,
              ),
              ...(
                [
                  [0, '0'],
                  [-1, '-1'],
                  [1e-60, '0'],
                  [Number.NaN, 'nan'],
                  [1e60, 'inf'],
                ] as const
              ).map(
                ([epsilon, said]) =>
                  [
                    { groups: 3, silu: true, epsilon },
                    `epsilon is ${said}; it must be above 0 and finite in float32`,
                  ] as const,
              ),
            ];
    for (const [attrs, text] of cases) refused(() => run(kernel, good[kernel], attrs), `${kernel}: ${text}`);
    if ('heads' in attrs[kernel])
      for (const heads of [0, -3, 2 ** 40])
        refused(
          () => run(kernel, good[kernel], { heads }),
          `${kernel}: heads is ${heads}; it must be from 1 to 1048576`,
        );
    if ('groups' in attrs[kernel])
      for (const groups of [1.5, Number.NaN])
        expect(() => tf.tidy(() => run(kernel, good[kernel], { groups, silu: true, epsilon: 1e-5 }))).toThrow(
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

  test('of a convolution has an empty result, and a gradient of 0 by its weights', () => {
    tf.tidy(() => {
      const [x, dy, kernel] = [[0, 5, 3, 16], [0, 5, 3, 32], good[CONV_3X3].kernel];
      expect(shapesOf(run(CONV_3X3, { x, kernel, bias: [0], residual: [0] }, {}))).toEqual([dy]);
      expect(shapesOf(run(CONV_3X3_INPUT_GRADIENT, { dy, kernel }, {}))).toEqual([x]);
      const [dkernel] = run(CONV_3X3_FILTER_GRADIENT, { x, dy }, {}) as [tf.Tensor];
      expect(dkernel.shape).toEqual(kernel);
      expect(tf.max(tf.abs(dkernel)).dataSync()[0]).toBe(0);
    });
  });

  test('of attention has an empty result and an empty gradient', () => {
    tf.tidy(() => {
      const [dy, qkv] = [
        [0, 5, 6],
        [0, 5, 18],
      ];
      expect(shapesOf(run(ATTENTION, { qkv }, { heads: 3 }))).toEqual([dy]);
      expect(shapesOf(run(ATTENTION_GRADIENT, { dy, qkv }, { heads: 3 }))).toEqual([qkv]);
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
