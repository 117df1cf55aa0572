import { expect, test } from 'vitest';
import { torchNoise } from './torch-noise.js';

test.each([
  [0, [-1.12584, -1.15236, 0.322275, 1.847973, -0.232616, 0.497417, 0.963564]],
  [2 ** 32 - 1, [-2.664298, -1.091049, -1.751495, -0.308538, -0.185315, 1.227095, 0.195405]],
])('torch.randn(768) twice after torch.manual_seed(%i)', (seed, expected) => {
  const draw = torchNoise(seed, 768);
  const [first, second] = [draw(), draw()];
  [first[0], first[1], first[8], first[700], first[767], second[0], second[767]].forEach((value, i) => {
    expect(value).toBeCloseTo(expected[i] as number, 5);
  });
});

test('only whole blocks are filled', () => {
  expect(() => torchNoise(0, 17)).toThrow('count is 17; it must be a multiple of 16.');
});
