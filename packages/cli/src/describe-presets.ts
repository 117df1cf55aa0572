import {
  type DescribeOptions,
  type Description,
  describe,
  networkOf,
  type Preset,
  preset,
  presetNames,
} from '@logsnr/networks';
import type { Network } from '@logsnr/nn';
import { backendInfo, useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';

/** Any backend will do to describe a network, as TensorFlow.js's gradients come with it: the plain one where there is none yet. */
export async function haveBackend(): Promise<void> {
  if (!backendInfo()) await useBackend({ backend: 'cpu', quiet: true });
}

/** What the network of a preset is and takes. */
export const describePreset = (name: string, options?: DescribeOptions): Description =>
  describeNetwork(preset(name), options);

/** What a network on images of this shape is and takes. */
export function describeNetwork(chosen: Pick<Preset, 'network' | 'image'>, options?: DescribeOptions): Description {
  const input = (n: number) => ({
    z: tf.zeros([n, ...chosen.image]),
    lambda: tf.zeros<tf.Rank.R1>([n]),
    condition: conditionOf(chosen, n),
  });
  return describe(networkOf(chosen) as Network<unknown>, input, options);
}

/** n conditions for the network of a preset. */
export function conditionOf({ network: { kind, config } }: Pick<Preset, 'network'>, n: number) {
  const label = tf.zeros<tf.Rank.R1>([n], 'int32');
  if (kind !== 'super-resolution') return label;
  const { height, width, channels = config.channels } = config.low;
  return { image: tf.zeros<tf.Rank.R4>([n, height, width, channels]), label };
}

/** All presets as a Markdown table, at batch 1. */
export function presetTable(): string {
  const whole = (value: number): string => value.toLocaleString('en');
  const rows = presetNames.map((name) => {
    const { parameters, multiplyAdds, activationBytes } = describePreset(name);
    return [
      `\`${name}\``,
      preset(name).image.join('×'),
      whole(parameters),
      `${(multiplyAdds / 1e9).toFixed(2)} G`,
      `${whole(Math.round(activationBytes / 1e6))} MB`,
    ];
  });
  const head = ['preset', 'z', 'parameters', 'multiply-adds', 'activations'];
  const widths = head.map((_, column) => Math.max(...[head, ...rows].map((row) => (row[column] as string).length)));
  const line = (row: readonly string[]): string =>
    `| ${row.map((cell, i) => (i < 2 ? cell.padEnd(widths[i] as number) : cell.padStart(widths[i] as number))).join(' | ')} |`;
  const rule = widths.map((width, i) => (i < 2 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)].join('\n');
}
