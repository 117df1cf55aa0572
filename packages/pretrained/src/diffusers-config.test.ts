import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { preset } from '@logsnr/networks';
import { cosineBetas, discrete, linearBetas, scaledLinearBetas } from '@logsnr/schedules';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type DiffusersOptions, readDiffusers } from './diffusers-config.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-config-'));
});
afterEach(() => rm(folder, { recursive: true }));

const fixture = (name: string) => fileURLToPath(new URL(`../test/fixtures/${name}`, import.meta.url));
const parsed = async (path: string) => JSON.parse(await readFile(fixture(path), 'utf8'));
const UNET = await parsed('diffusers-unet/unet/config.json');
const DIT = await parsed('diffusers-dit/transformer/config.json');
const DDPM = { _class_name: 'DDPMScheduler', beta_schedule: 'linear' };

/** What a folder with these configurations says. */
async function read(config: object, scheduler: object = DDPM, options: DiffusersOptions = {}) {
  await writeFile(join(folder, 'config.json'), JSON.stringify(config));
  await writeFile(join(folder, 'scheduler_config.json'), JSON.stringify(scheduler));
  return readDiffusers(folder, options);
}

describe('what is published', () => {
  test('google/ddpm-cifar10-32 is the preset', async () => {
    const ends = ['DownBlock2D', 'AttnDownBlock2D', 'DownBlock2D', 'DownBlock2D'];
    const { network, prediction, variance } = await read({
      ...{ _class_name: 'UNet2DModel', _diffusers_version: '0.1.1', act_fn: 'silu', attention_head_dim: null },
      ...{ block_out_channels: [128, 256, 256, 256], center_input_sample: false, down_block_types: ends },
      ...{
        downsample_padding: 0,
        dropout: 0.1,
        flip_sin_to_cos: false,
        freq_shift: 1,
        in_channels: 3,
        out_channels: 3,
      },
      ...{ layers_per_block: 2, mid_block_scale_factor: 1, norm_eps: 1e-6, norm_num_groups: 32, sample_size: 32 },
      ...{ time_embedding_type: 'positional' },
      up_block_types: ['UpBlock2D', 'UpBlock2D', 'AttnUpBlock2D', 'UpBlock2D'],
    });
    const { outputs, heads, nullClass, ...config } = network.config as unknown as Record<string, unknown>;
    expect({ outputs, heads, nullClass }).toEqual({ outputs: 3, heads: 1, nullClass: false });
    expect(config).toEqual(preset('ddpm-cifar10').network.config);
    expect([prediction, variance]).toEqual(['eps', undefined]);
  });

  test('facebook/DiT-XL-2-256 is the preset, but for the features of t and an ε that diffusers has otherwise', async () => {
    const { network, variance } = await read(
      {
        ...{ _class_name: 'Transformer2DModel', activation_fn: 'gelu-approximate', attention_bias: true },
        ...{ attention_head_dim: 72, cross_attention_dim: null, dropout: 0, in_channels: 4, num_layers: 28 },
        ...{ norm_elementwise_affine: false, norm_num_groups: 32, norm_type: 'ada_norm_zero', num_attention_heads: 16 },
        ...{ num_embeds_ada_norm: 1000, num_vector_embeds: null, only_cross_attention: false, out_channels: 8 },
        ...{ patch_size: 2, sample_size: 32, upcast_attention: false, use_linear_projection: false },
      },
      { _class_name: 'DDIMScheduler', beta_schedule: 'linear', trained_betas: null, prediction_type: 'epsilon' },
    );
    const { config } = preset('dit-xl-2').network;
    expect(network).toEqual({
      kind: 'dit',
      config: { ...config, epsilon: 1e-5, time: { ...config.time, first: 'cos', shift: 1 } },
    });
    expect(variance).toBe('range');
  });
});

describe('the scheduler', () => {
  const lambdas = async (change: object, options: DiffusersOptions = {}) => {
    const { network } = await read(UNET, { ...DDPM, ...change }, options);
    const { betas } = network.config.time as { betas: string | number[] };
    return typeof betas === 'string' ? betas : discrete(betas).lambdas;
  };

  test('says β and what the output stands for', async () => {
    expect(await lambdas({ beta_schedule: 'squaredcos_cap_v2', num_train_timesteps: 50 })).toBe('cosine');
    expect(await lambdas({ beta_start: 0.001, num_train_timesteps: 20 })).toEqual(
      discrete(linearBetas({ start: 0.001, steps: 20 })).lambdas,
    );
    expect(await lambdas({ beta_schedule: 'scaled_linear', beta_start: 0.00085, beta_end: 0.012 })).toEqual(
      discrete(scaledLinearBetas()).lambdas,
    );
    expect(await lambdas({ trained_betas: [0.1, 0.2, 0.3] })).toEqual(discrete([0.1, 0.2, 0.3]).lambdas);
    expect(await lambdas({}, { betas: cosineBetas({ steps: 30 }) })).toEqual(
      discrete(cosineBetas({ steps: 30 })).lambdas,
    );
    const of = async (type: string) => (await read(UNET, { ...DDPM, prediction_type: type })).prediction;
    expect([await of('epsilon'), await of('sample'), await of('v_prediction')]).toEqual(['eps', 'x', 'v']);
    expect((await read(UNET, DDPM, { prediction: 'v' })).prediction).toBe('v');
  });

  test('stands in the folder, in it or beside it; without it β must be given', async () => {
    const unet = join(folder, 'pipeline', 'unet');
    await mkdir(unet, { recursive: true });
    await cp(fixture('diffusers-unet/unet/config.json'), join(unet, 'config.json'));
    await expect(readDiffusers(unet)).rejects.toThrow(/has no scheduler_config.json.*Give its β: { betas: 'linear' }/);
    const given = await readDiffusers(unet, { betas: 'linear' });
    expect([given.folder, given.prediction]).toEqual([unet, 'eps']);
    await mkdir(join(folder, 'pipeline', 'scheduler'));
    await writeFile(
      join(folder, 'pipeline/scheduler/scheduler_config.json'),
      JSON.stringify({ ...DDPM, beta_end: 0.5 }),
    );
    const [inside, whole] = [await readDiffusers(unet), await readDiffusers(join(folder, 'pipeline'))];
    expect(inside).toEqual(whole);
    expect((inside.network.config.time as { betas: number[] }).betas.at(-1)).toBeCloseTo(0.5, 12);
  });
});

test('a level and an image of another form have their place', async () => {
  const { network } = await read({
    ...{ ...UNET, sample_size: [16, 8], time_embedding_dim: 24, attention_head_dim: null, add_attention: false },
    ...{ resnet_time_scale_shift: 'scale_shift', down_block_types: ['ResnetDownsampleBlock2D', 'AttnDownBlock2D'] },
    ...{ up_block_types: ['AttnUpBlock2D', 'UpBlock2D'], upsample_type: 'resnet', out_channels: 2, dropout: 0.25 },
  });
  expect(network.config).toMatchObject({
    ...{ height: 16, width: 8, channels: 1, outputs: 2, classes: 11, nullClass: false, base: 4, multipliers: [1, 2] },
    ...{ attention: [8], heads: 1, embedding: 24, middleAttention: false, resample: 'residual', scaleShift: true },
    ...{ dropout: 0.25, time: { betas: 'linear', steps: 1000, first: 'cos', shift: 0 } },
  });
});

describe('what is not supported is refused by name', () => {
  test.each<[object, RegExp]>([
    [{ act_fn: 'gelu' }, /act_fn: expected \("silu" \| "swish"\) but received "gelu"/],
    [{ time_embedding_type: 'fourier' }, /time_embedding_type: expected "positional" but received "fourier"/],
    [{ class_embed_type: 'timestep' }, /class_embed_type: expected null but received "timestep"/],
    [{ center_input_sample: true }, /center_input_sample: expected false/],
    [{ freq_shift: 2 }, /freq_shift: expected \(0 \| 1\) but received 2/],
    [{ flip_sin_to_cos: 'yes' }, /flip_sin_to_cos: expected boolean/],
    [{ downsample_padding: 2 }, /downsample_padding: expected \(0 \| 1\)/],
    [{ mid_block_type: 'UNetMidBlock2DSimpleCrossAttn' }, /mid_block_type: expected "UNetMidBlock2D"/],
    [{ mid_block_scale_factor: 2 }, /mid_block_scale_factor: expected 1/],
    [{ down_block_types: ['SkipDownBlock2D', 'DownBlock2D'] }, /down_block_types.0: expected \("DownBlock2D" \|/],
    [{ down_block_types: ['DownBlock2D'] }, /2 block_out_channels, 1 down_block_types and 2 up_block_types/],
    [{ up_block_types: ['UpBlock2D', 'UpBlock2D'] }, /AttnDownBlock2D on the way down and UpBlock2D on the way up/],
    [{ upsample_type: 'resnet' }, /all must be "conv", or all "resnet"/],
    [{ resnet_time_scale_shift: 'spatial' }, /resnet_time_scale_shift: expected \("default" \| "scale_shift"\)/],
    [
      { resnet_time_scale_shift: 'scale_shift' },
      /attn_norm_num_groups null with resnet_time_scale_shift "scale_shift"/,
    ],
    [{ attn_norm_num_groups: 4 }, /attn_norm_num_groups 4 with .* must have the groups of the others, 2/],
    [{ sample_size: null }, /sample_size: expected/],
    [{ out_channels: 3 }, /has 1 channels in and 3 out/],
    [{ norm_num_groups: 3 }, /no network that is supported: groups is 3, which does not divide/],
    [{ block_out_channels: [5, 10] }, /no network that is supported: base is 5; it must be even/],
    [{ attention_head_dim: 3 }, /no network that is supported: headChannels is 3/],
    [
      { cross_attention_dim: 8 },
      /unknown option "cross_attention_dim"; known are sample_size, .* may be null or false/,
    ],
    [{ _class_name: 'UNet2DConditionModel' }, /_class_name: expected \("UNet2DModel" \| "DiTTransformer2DModel"/],
  ])('a U-Net with %o', async (change, words) => {
    const reading = read({ ...UNET, ...change });
    await expect(reading).rejects.toThrow(words);
    await expect(reading).rejects.toThrow(join(folder, 'config.json'));
    await expect(reading).rejects.toThrow(RangeError);
  });

  test.each<[object, RegExp]>([
    [{ norm_type: 'ada_norm_single' }, /norm_type: expected "ada_norm_zero"/],
    [{ activation_fn: 'gelu' }, /activation_fn: expected "gelu-approximate"/],
    [{ attention_bias: false }, /attention_bias: expected true/],
    [{ norm_elementwise_affine: true }, /norm_elementwise_affine: expected false/],
    [{ sample_size: 5 }, /no network that is supported: height is 5, which patch, 2, does not divide/],
  ])('a DiT with %o', async (change, words) => {
    await expect(read({ ...DIT, ...change })).rejects.toThrow(words);
  });

  test.each<[object, RegExp]>([
    [{ beta_schedule: 'sigmoid' }, /beta_schedule: expected \("linear" \| "scaled_linear" \| "squaredcos_cap_v2"\)/],
    [{ prediction_type: 'flow' }, /prediction_type: expected/],
    [{ variance_type: 'learned' }, /variance_type: expected/],
    [{ variance_type: 'learned_range' }, /1 channels out; the scheduler's learned variance needs 2/],
    [{ rescale_betas_zero_snr: true }, /rescale_betas_zero_snr: expected false/],
    [{ trained_betas: [0.5, 1] }, /trained_betas.1: expected <1 but received 1/],
    [{ beta_schedule: undefined }, /beta_schedule: expected "beta_schedule" but received undefined/],
  ])('a scheduler with %o', async (change, words) => {
    await expect(read(UNET, { ...DDPM, ...change })).rejects.toThrow(words);
  });

  test('a file, a folder without configuration', async () => {
    await expect(readDiffusers(folder)).rejects.toThrow(`${folder} has no config.json`);
    await expect(readDiffusers(fixture('dit.pt'))).rejects.toThrow(/dit.pt is a file. Give a folder of diffusers/);
    await expect(readDiffusers(join(folder, 'none'))).rejects.toThrow('it is missing');
  });
});
