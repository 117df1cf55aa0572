import * as v from 'valibot';

const count = (most: number) => v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(most));
/** Sizes of layers and of images. Those of no network are larger. */
const width = count(2 ** 20);
const optional = <S extends v.GenericSchema>(schema: S, value: v.InferInput<S>) => v.nullish(schema, value as never);
const list = <S extends v.GenericSchema>(schema: S) => v.pipe(v.array(schema), v.minLength(1), v.maxLength(10));
/** An option of which only this is supported, which is the default too unless there is another. */
const only = <const T extends string | number | boolean>(value: T) => optional(v.literal(value), value as never);
const beta = v.pipe(v.number(), v.gtValue(0), v.ltValue(1));
const absent = v.nullish(v.null());

/** `UNet2DModel` of diffusers, with its defaults. */
export const unetSchema = v.object({
  sample_size: v.union([width, v.tuple([width, width])]),
  in_channels: optional(width, 3),
  out_channels: optional(width, 3),
  center_input_sample: only(false),
  time_embedding_type: only('positional'),
  time_embedding_dim: v.nullish(width),
  freq_shift: optional(v.picklist([0, 1]), 0),
  flip_sin_to_cos: optional(v.boolean(), true),
  down_block_types: list(v.picklist(['DownBlock2D', 'AttnDownBlock2D', 'ResnetDownsampleBlock2D'])),
  mid_block_type: optional(v.literal('UNetMidBlock2D'), 'UNetMidBlock2D'),
  up_block_types: list(v.picklist(['UpBlock2D', 'AttnUpBlock2D', 'ResnetUpsampleBlock2D'])),
  block_out_channels: list(width),
  layers_per_block: optional(count(16), 2),
  mid_block_scale_factor: only(1),
  downsample_padding: optional(v.picklist([0, 1]), 1),
  downsample_type: optional(v.picklist(['conv', 'resnet']), 'conv'),
  upsample_type: optional(v.picklist(['conv', 'resnet']), 'conv'),
  dropout: optional(v.pipe(v.number(), v.minValue(0), v.maxValue(1)), 0),
  act_fn: optional(v.picklist(['silu', 'swish']), 'silu'),
  attention_head_dim: v.optional(v.nullable(width), 8),
  norm_num_groups: optional(width, 32),
  attn_norm_num_groups: v.nullish(width),
  norm_eps: optional(v.pipe(v.number(), v.gtValue(0)), 1e-5),
  resnet_time_scale_shift: optional(v.picklist(['default', 'scale_shift']), 'default'),
  add_attention: optional(v.boolean(), true),
  class_embed_type: absent,
  num_class_embeds: v.nullish(width),
  num_train_timesteps: v.nullish(width),
});

/** `DiTTransformer2DModel` of diffusers, with its defaults, and what `Transformer2DModel` had for it before. */
export const ditSchema = v.object({
  num_attention_heads: optional(width, 16),
  attention_head_dim: optional(width, 72),
  in_channels: optional(width, 4),
  out_channels: v.nullish(width),
  num_layers: optional(count(200), 28),
  dropout: only(0),
  norm_num_groups: v.nullish(width),
  attention_bias: only(true),
  sample_size: optional(width, 32),
  patch_size: optional(width, 2),
  activation_fn: only('gelu-approximate'),
  num_embeds_ada_norm: optional(width, 1000),
  upcast_attention: optional(v.boolean(), false),
  norm_type: only('ada_norm_zero'),
  norm_elementwise_affine: only(false),
  norm_eps: optional(v.pipe(v.number(), v.gtValue(0)), 1e-5),
  attention_type: only('default'),
});

/** What a scheduler says of the times on which a model was trained. The rest is of sampling. */
export const schedulerSchema = v.object({
  num_train_timesteps: optional(v.pipe(count(1e5), v.minValue(2)), 1000),
  beta_start: optional(beta, 1e-4),
  beta_end: optional(beta, 0.02),
  beta_schedule: v.picklist(['linear', 'scaled_linear', 'squaredcos_cap_v2']),
  trained_betas: v.nullish(v.pipe(v.array(beta), v.minLength(2), v.maxLength(1e5))),
  prediction_type: optional(v.picklist(['epsilon', 'sample', 'v_prediction']), 'epsilon'),
  variance_type: optional(
    v.picklist(['fixed_small', 'fixed_small_log', 'fixed_large', 'fixed_large_log', 'learned_range']),
    'fixed_small',
  ),
  rescale_betas_zero_snr: only(false),
});
