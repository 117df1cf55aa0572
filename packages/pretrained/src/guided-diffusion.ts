import type { UnetConfig } from '@logsnr/networks';
import { type Mapping, mappingOf, type Place } from './mapping.js';
import { attends, fixedPlaces, headsOf, type UnetLayer, unetLayer } from './unet-places.js';

/**
 * The order of the channels that make q, k and v. `legacy`: (head, q|k|v, d), as in all published files but one. `new`:
 * (q|k|v, head, d), as in `64x64_diffusion.pt`, which was trained with `--use_new_attention_order True`.
 */
export type AttentionOrder = 'legacy' | 'new';

const others = fixedPlaces({
  ...{ 'lambda.linear1': 'time_embed.0', 'lambda.linear2': 'time_embed.2', class: 'label_emb' },
  // Of the network for super-resolution.
  'condition.class': 'label_emb',
  ...{ in: 'input_blocks.0.0', 'out.norm': 'out.0', out: 'out.2' },
});

/** What ends a classifier: the mean of the pixels and a convolution, or pooling by attention. */
function classifierEnd(path: string, shapes: Readonly<Record<string, readonly number[]>>): Place | undefined {
  const [tokens = 0, channels = 0] = shapes['pool.position'] ?? [];
  const places: Readonly<Record<string, Place>> = {
    logits: { name: 'out.3', ones: 2 },
    pool: { name: 'out.2.positional_embedding', weight: { shape: [channels, tokens], order: [1, 0] } },
    // In the order of ours, whatever that of the other layers.
    'pool.qkv': { name: 'out.2.qkv_proj', ones: 1 },
    'pool.out': { name: 'out.2.c_proj', ones: 1 },
  };
  return places[path];
}

const RESIDUAL: Readonly<Record<string, string>> = {
  ...{ norm1: 'in_layers.0', conv1: 'in_layers.2', film: 'emb_layers.1' },
  ...{ norm2: 'out_layers.0', conv2: 'out_layers.3', skip: 'skip_connection' },
};

/**
 * The names of OpenAI's guided-diffusion (Dhariwal & Nichol 2021, arXiv 2105.05233): its `UNetModel`, `SuperResModel` and
 * `EncoderUNetModel`.
 */
export const guidedDiffusion = (
  shapes: Readonly<Record<string, readonly number[]>>,
  config: UnetConfig,
  order: AttentionOrder,
): Mapping => ({
  pieces: mappingOf(shapes, (path) => {
    const layer = unetLayer(path);
    return layer
      ? placeOf(layer, config, order, shapes[`${path}.kernel`])
      : (others(path) ?? classifierEnd(path, shapes));
  }),
  fixed: [],
});

function placeOf(
  { way, level, unit, at, layer }: UnetLayer,
  config: UnetConfig,
  order: AttentionOrder,
  kernel: readonly number[] = [],
): Place {
  const { multipliers, blocks } = config;
  const name = unitName();
  if (unit === 'attention')
    return {
      name: `${name}.${layer === 'out' ? 'proj_out' : layer}`,
      ones: 1,
      heads: layer === 'qkv' && order === 'legacy' ? headsOf(config, kernel[0] as number) : undefined,
    };
  if (layer !== '') return { name: `${name}.${RESIDUAL[layer]}`, ones: layer === 'skip' ? 2 : 0 };
  return { name: `${name}.${unit === 'downsample' ? 'op' : 'conv'}` };

  /** All blocks of a way stand in one list, and what belongs to a block in a list of its own. */
  function unitName(): string {
    if (way === 'middle') return `middle_block.${unit === 'attention' ? 1 : 2 * at}`;
    const each = blocks + 1;
    const last = unit === 'downsample' || unit === 'upsample' ? blocks : at;
    if (way === 'down') return `input_blocks.${1 + level * each + last}.${unit === 'attention' ? 1 : 0}`;
    const beside = { block: 0, attention: 1, upsample: attends(config, level) ? 2 : 1, downsample: 0 }[unit];
    return `output_blocks.${(multipliers.length - 1 - level) * each + last}.${beside}`;
  }
}
