import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, presetNames, type UnetConfig, unet } from '@logsnr/networks';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { describePreset, presetTable } from '../scripts/describe-presets.js';

const root = fileURLToPath(new URL('..', import.meta.url));

test('DiT-XL/2 has the multiply-adds that PyTorch counts for the module of diffusers', () => {
  const ofPytorch = 118_666_838_016; // parity/multiply_adds.py
  // Diffusers embeds the time in each of 28 blocks and before the last map. Ours looks its class up by a product.
  const [time, label] = [256 * 1152 + 1152 * 1152, 1001 * 1152];
  expect(describePreset('dit-xl-2').multiplyAdds).toBe(ofPytorch - 28 * time + label);
});

const images: Readonly<Record<string, { config: UnetConfig; parameters: number; multiplyAdds: number }>> = {
  'ddpm-cifar10': {
    config: {
      ...{
        height: 32,
        width: 32,
        channels: 3,
        classes: 0,
        base: 128,
        multipliers: [1, 2, 2, 2],
        blocks: 2,
        groups: 32,
      },
      ...{ attention: [16], middleAttention: true, resample: 'conv-same', scaleShift: false, skipBias: true },
    },
    ...{ parameters: 35_746_307, multiplyAdds: 6_221_856_768 },
  },
  'adm-imagenet64': {
    config: {
      ...{ height: 64, width: 64, channels: 3, outputs: 6, classes: 1000, nullClass: false, base: 192, blocks: 3 },
      ...{ multipliers: [1, 2, 3, 4], groups: 32, attention: [32, 16, 8], headChannels: 64, resample: 'residual' },
      skipBias: true,
    },
    // And the product that looks the class up.
    ...{ parameters: 295_904_454, multiplyAdds: 109_678_018_560 + 1000 * 768 },
  },
};

test.each(Object.entries(images))('%s has the multiply-adds that PyTorch counts for the original', (_, wanted) => {
  const { height, width, channels } = wanted.config;
  const { parameters, multiplyAdds } = describe(unet(wanted.config), (n) => ({
    z: tf.zeros([n, height, width, channels]),
    lambda: tf.zeros<tf.Rank.R1>([n]),
    condition: tf.zeros<tf.Rank.R1>([n], 'int32'),
  }));
  expect({ parameters, multiplyAdds }).toEqual({ parameters: wanted.parameters, multiplyAdds: wanted.multiplyAdds });
});

test('docs/networks.md has the rows that `pnpm describe --all` prints', () => {
  const rowsOf = (text: string) => text.match(/^\| `.*$/gm)?.map((row) => row.replaceAll(/ +/g, ' ')) ?? [];
  const [printed, written] = [rowsOf(presetTable()), rowsOf(readFileSync(`${root}/docs/networks.md`, 'utf8'))];
  expect(printed).toHaveLength(presetNames.length);
  expect(printed).toEqual(expect.arrayContaining(written));
  expect(written.length).toBeGreaterThan(0);
});

test('`pnpm describe` prints a table, or JSON on one line, and says what it takes', () => {
  const run = (...args: string[]) => {
    const { stdout, stderr, status } = spawnSync(
      process.execPath,
      ['--import', 'tsx', `${root}/scripts/describe.ts`, ...args],
      { cwd: root, encoding: 'utf8', env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` } },
    );
    return { stdout, stderr, status };
  };
  const { stdout } = run('dit-s-8', '--json', '--batch', '2', '--depth', '1');
  expect(stdout.trim().split('\n')).toHaveLength(1);
  expect(JSON.parse(stdout)).toEqual({ preset: 'dit-s-8', ...describePreset('dit-s-8', { batch: 2, depth: 1 }) });
  expect(run('dit-s-8').stdout).toMatch(/^layer .*\n─+\n(.*\n)+─+\ntotal .* 33\.14 M .* 358\.4 M/);
  const { stderr, status } = run('dit-s-9');
  expect(stderr).toMatch(/^describe: the preset is "dit-s-9"; it must be "?.*dit-xl-8/);
  expect(status).toBe(1);
});
