import type { UnetConfig } from '@logsnr/networks';
import { type Mapping, mappingOf, type Place } from './mapping.js';
import { fixedPlaces, type UnetLayer, unetLayer } from './unet-places.js';

const others = fixedPlaces({
  ...{ 'lambda.linear1': 'time_embedding.linear_1', 'lambda.linear2': 'time_embedding.linear_2' },
  ...{ class: 'class_embedding', in: 'conv_in', 'out.norm': 'conv_norm_out', out: 'conv_out' },
});

const NAMES: Readonly<Record<UnetLayer['unit'], string>> = {
  ...{ block: 'resnets', attention: 'attentions', downsample: 'downsamplers', upsample: 'upsamplers' },
};

/** The names of the `UNet2DModel` of diffusers. */
export const diffusersUnet = (
  shapes: Readonly<Record<string, readonly number[]>>,
  { multipliers }: UnetConfig,
): Mapping => ({
  pieces: mappingOf(shapes, (path) => {
    const layer = unetLayer(path);
    return layer ? placeOf(layer, multipliers.length) : others(path);
  }),
  fixed: [],
  renamed,
});

function placeOf({ way, level, unit, at, layer }: UnetLayer, levels: number): Place {
  const stage = { down: `down_blocks.${level}`, middle: 'mid_block', up: `up_blocks.${levels - 1 - level}` }[way];
  const name = `${stage}.${NAMES[unit]}.${at}`;
  if (unit === 'attention') {
    if (layer === 'qkv') return { name: ['to_q', 'to_k', 'to_v'].map((each) => `${name}.${each}`) };
    return { name: `${name}.${layer === 'out' ? 'to_out.0' : 'group_norm'}` };
  }
  const own: Readonly<Record<string, Place>> = {
    '': { name: `${name}.conv` },
    film: { name: `${name}.time_emb_proj` },
    skip: { name: `${name}.conv_shortcut`, ones: 2 },
  };
  return own[layer] ?? { name: `${name}.${layer}` };
}

const LATER: Readonly<Record<string, string>> = {
  ...{ query: 'to_q', key: 'to_k', value: 'to_v', proj_attn: 'to_out.0' },
};

/** Files of before 2023, google/ddpm-cifar10-32 among them, have other names for the parts of attention. */
const renamed = (name: string): string =>
  name.replace(
    /(attentions\.\d+\.)(query|key|value|proj_attn)(?=\.\w+$)/,
    (_, before: string, part: string) => `${before}${LATER[part]}`,
  );
