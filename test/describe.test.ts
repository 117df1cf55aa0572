import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { preset, presetNames } from '@logsnr/networks';
import { expect, test } from 'vitest';
import { config } from '../examples/mnist/digits.js';
import { describePreset, presetTable } from '../packages/cli/src/describe-presets.js';

const root = fileURLToPath(new URL('..', import.meta.url));

test('DiT-XL/2 has the multiply-adds that PyTorch counts for the module of diffusers', () => {
  const ofPytorch = 118_666_838_016; // parity/multiply_adds.py
  // Diffusers embeds the time in each of 28 blocks and before the last map. Ours looks its class up by a product.
  const [time, label] = [256 * 1152 + 1152 * 1152, 1001 * 1152];
  expect(describePreset('dit-xl-2').multiplyAdds).toBe(ofPytorch - 28 * time + label);
});

/** Multiply-adds that PyTorch counts for the peers' own modules (parity/multiply_adds.py), and what ours has beside. */
const peers: Readonly<Record<string, readonly [ofPytorch: number, beside: number]>> = {
  'ddpm-cifar10': [6_221_856_768, 0],
  // Ours looks a class up by a product, [1000] and [1000, 4 · base].
  'adm-imagenet64': [109_678_018_560, 1000 * 768],
  'adm-imagenet128': [306_927_894_528, 1000 * 1024],
  'adm-imagenet256': [1_119_832_768_512, 1000 * 1024],
  'adm-imagenet256-unconditional': [1_119_832_768_512, 0],
  'adm-imagenet512': [1_982_334_763_008, 1000 * 1024],
  'adm-imagenet64-256-upsampler': [631_642_374_144, 1000 * 768],
  'adm-imagenet128-512-upsampler': [2_504_784_986_112, 1000 * 768],
  // The peer makes logits of all tokens, 8² pixels and their mean; ours of the mean alone.
  'adm-imagenet64-classifier': [19_079_025_664, -(8 * 8) * 512 * 1000],
  'adm-imagenet128-classifier': [21_040_256_000, -(8 * 8) * 512 * 1000],
  'adm-imagenet256-classifier': [73_348_600_832, -(8 * 8) * 512 * 1000],
  'adm-imagenet512-classifier': [112_766_866_432, -(8 * 8) * 512 * 1000],
};

test.each(Object.entries(peers))('%s has the multiply-adds that PyTorch counts for it', (name, [ofPytorch, beside]) => {
  expect(describePreset(name).multiplyAdds).toBe(ofPytorch + beside);
});

test('the preset of MNIST is the network of the demo', () => {
  expect(preset('mnist').network.config).toEqual(config);
});

test('docs/networks.md has the rows that `pnpm describe --all` prints', () => {
  const rowsOf = (text: string) => text.match(/^\| `.*$/gm)?.map((row) => row.replaceAll(/ +/g, ' ')) ?? [];
  const [printed, written] = [rowsOf(presetTable()), rowsOf(readFileSync(`${root}/docs/networks.md`, 'utf8'))];
  expect(printed).toHaveLength(presetNames.length);
  expect(written).toEqual(printed);
}, 240_000);
