import { basename, dirname, join } from 'node:path';
import type { Prediction } from '@logsnr/core';
import { faultOf } from '@logsnr/io/node';
import {
  type DitConfig,
  type NetworkSpec,
  networkOf,
  type Resample,
  type TimeOptions,
  type UnetConfig,
} from '@logsnr/networks';
import { linearBetas, scaledLinearBetas } from '@logsnr/schedules';
import * as v from 'valibot';
import { ditSchema, schedulerSchema, unetSchema } from './diffusers-schemas.js';
import { isFolder, isThere, readJson } from './open.js';

/** What the configurations in a folder of diffusers say of a model. */
export interface DiffusersModel {
  /** Where the tensors are. */
  readonly folder: string;
  readonly network: NetworkSpec<'unet' | 'dit'>;
  readonly prediction: Prediction;
  readonly variance: 'range' | undefined;
}

/** What such a folder may leave unsaid. */
export interface DiffusersOptions {
  /** β of a folder without a scheduler's configuration; with one, instead of its. */
  betas?: TimeOptions['betas'] | undefined;
  /** What the output stands for. Default what the scheduler's configuration says, or `eps` without one. */
  prediction?: Prediction | undefined;
}

const CLASSES = { UNet2DModel: unetSchema, DiTTransformer2DModel: ditSchema, Transformer2DModel: ditSchema };
const classSchema = v.object({ _class_name: v.picklist(Object.keys(CLASSES) as (keyof typeof CLASSES)[]) });

/**
 * What the configurations in a folder of diffusers say: that of a model, or of a pipeline, whose model is in `unet` or `transformer`.
 * The scheduler's is looked for in the folder, in `scheduler` within and in `scheduler` beside.
 * @throws RangeError where there is none, or on a value that is not supported, by its name; DamagedFile on what is no JSON.
 */
export async function readDiffusers(path: string, options: DiffusersOptions = {}): Promise<DiffusersModel> {
  const folder = await modelFolder(path);
  const file = join(folder, 'config.json');
  const raw = await readJson(file, v.record(v.string(), v.unknown()));
  if (!raw) throw new RangeError(`${folder} has no config.json, by which diffusers says what its model is.`);
  const { _class_name: name } = said(file, classSchema, raw);
  checkKeys(file, raw, Object.keys(CLASSES[name].entries));
  const { times, prediction, variance } = await schedulerOf(folder, options);
  const network: NetworkSpec<'unet' | 'dit'> =
    name === 'UNet2DModel'
      ? { kind: 'unet', config: unetConfig(said(file, unetSchema, raw), file, times) }
      : { kind: 'dit', config: ditConfig(said(file, ditSchema, raw), times) };
  const { channels, outputs = channels } = network.config;
  if (outputs !== channels && outputs !== 2 * channels)
    throw new RangeError(
      `${file} has ${channels} channels in and ${outputs} out; accepted are as many, or twice as many with a learned variance.`,
    );
  if (variance && outputs === channels)
    throw new RangeError(
      `${file} has ${outputs} channels out; the scheduler's learned variance needs ${2 * channels}.`,
    );
  checkNetwork(file, network);
  return { folder, network, prediction, variance: outputs === channels ? undefined : 'range' };
}

async function modelFolder(path: string): Promise<string> {
  if (!(await isFolder(path)))
    throw new RangeError(
      `${path} is a file. Give a folder of diffusers, or say what the file is of: loadModel('adm-imagenet64', file).`,
    );
  for (const folder of [path, join(path, 'unet'), join(path, 'transformer')])
    if (await isThere(join(folder, 'config.json'))) return folder;
  return path;
}

/** What a file says, by a schema. */
function said<S extends v.GenericSchema>(file: string, schema: S, raw: unknown): v.InferOutput<S> {
  const { success, output, issues } = v.safeParse(schema, raw);
  if (!success) throw new RangeError(`${file} says what is not supported: ${faultOf(issues)}.`);
  return output;
}

/** What a network refuses is the file's fault. */
function checkNetwork(file: string, network: NetworkSpec<'unet' | 'dit'>): void {
  try {
    networkOf({ network });
  } catch (error) {
    throw new RangeError(`${file} is of no network that is supported: ${(error as Error).message}`, { cause: error });
  }
}

/** An option that is not known may be left unsaid, not more. */
function checkKeys(file: string, raw: object, known: readonly string[]): void {
  const unknown = Object.entries(raw).filter(
    ([name, value]) => !name.startsWith('_') && !known.includes(name) && value !== null && value !== false,
  );
  if (unknown.length > 0)
    throw new RangeError(
      `${file} has the unknown option "${unknown[0]?.[0].slice(0, 100)}"; known are ${known.join(', ')}. Another one may be null or false.`,
    );
}

async function schedulerOf(
  folder: string,
  { betas, prediction }: DiffusersOptions,
): Promise<{ times: Pick<TimeOptions, 'betas' | 'steps'>; prediction: Prediction; variance: boolean }> {
  const [name, inside] = ['scheduler_config.json', 'scheduler'];
  const beside = ['unet', 'transformer'].includes(basename(folder)) ? [join(dirname(folder), inside)] : [];
  for (const place of [folder, join(folder, inside), ...beside]) {
    const file = join(place, name);
    const raw = await readJson(file, v.record(v.string(), v.unknown()));
    if (!raw) continue;
    const scheduler = said(file, schedulerSchema, raw);
    const predicted = ({ epsilon: 'eps', sample: 'x', v_prediction: 'v' } as const)[scheduler.prediction_type];
    return {
      times: betas === undefined ? betasOf(scheduler) : { betas },
      prediction: prediction ?? predicted,
      variance: scheduler.variance_type === 'learned_range',
    };
  }
  if (betas === undefined)
    throw new RangeError(
      `${folder} has no ${name}, in it or in a folder "${inside}", so its times are not known. Give its β: { betas: 'linear' }, 'cosine', 'scaled-linear' or a list.`,
    );
  return { times: { betas }, prediction: prediction ?? 'eps', variance: false };
}

function betasOf(said: v.InferOutput<typeof schedulerSchema>): Pick<TimeOptions, 'betas' | 'steps'> {
  const { trained_betas: trained, beta_schedule: name, num_train_timesteps: steps } = said;
  if (trained) return { betas: trained };
  if (name === 'squaredcos_cap_v2') return { betas: 'cosine', steps };
  const range = { steps, start: said.beta_start, end: said.beta_end };
  if (name === 'scaled_linear') return { betas: scaledLinearBetas(range) };
  return range.start === 1e-4 && range.end === 0.02 ? { betas: 'linear', steps } : { betas: linearBetas(range) };
}

type Times = Pick<TimeOptions, 'betas' | 'steps'>;

function unetConfig(said: v.InferOutput<typeof unetSchema>, file: string, times: Times): UnetConfig {
  const { sample_size: size, block_out_channels: widths, down_block_types: down, attention_head_dim: head } = said;
  const refuse = (what: string): never => {
    throw new RangeError(`${file} ${what}.`);
  };
  // From the finest level to the coarsest.
  const up = [...said.up_block_types].reverse();
  if (down.length !== widths.length || up.length !== widths.length)
    refuse(
      `has ${widths.length} block_out_channels, ${down.length} down_block_types and ${up.length} up_block_types; there must be as many`,
    );
  const attends = down.map((type) => type === 'AttnDownBlock2D');
  for (const [i, type] of up.entries())
    if ((type === 'AttnUpBlock2D') !== attends[i])
      refuse(`has ${down[i]} on the way down and ${type} on the way up of level ${i}; both must attend, or neither`);
  const [height, across] = typeof size === 'number' ? [size, size] : size;
  const base = widths[0] as number;
  const scaleShift = said.resnet_time_scale_shift === 'scale_shift';
  const norms = said.attn_norm_num_groups ?? (scaleShift ? undefined : said.norm_num_groups);
  if (said.add_attention && norms !== said.norm_num_groups)
    refuse(
      `has attn_norm_num_groups ${norms ?? null} with resnet_time_scale_shift "${said.resnet_time_scale_shift}"; the middle's attention must have the groups of the others, ${said.norm_num_groups}`,
    );
  return {
    ...{ height, width: across, channels: said.in_channels, outputs: said.out_channels },
    ...{ classes: said.num_class_embeds ?? 0, nullClass: false, base },
    ...{ multipliers: widths.map((width) => width / base), blocks: said.layers_per_block },
    attention: attends.flatMap((there, i) => (there ? [height / 2 ** i] : [])),
    ...(head === null ? { heads: 1 } : { headChannels: head }),
    ...{ middleAttention: said.add_attention, resample: resampleOf(said, up, file), scaleShift, skipBias: true },
    ...{ groups: said.norm_num_groups, epsilon: said.norm_eps, dropout: said.dropout },
    ...(said.time_embedding_dim ? { embedding: said.time_embedding_dim } : {}),
    time: { ...times, first: said.flip_sin_to_cos ? 'cos' : 'sin', shift: said.freq_shift },
  };
}

/** How one level leads to the next, which must be the same everywhere. */
function resampleOf(said: v.InferOutput<typeof unetSchema>, up: readonly string[], file: string): Resample {
  const ofType = (type: string, attending: string) =>
    type.startsWith('Resnet') ? 'resnet' : type.startsWith('Attn') ? attending : 'conv';
  const ways = new Set([
    ...said.down_block_types.slice(0, -1).map((type) => ofType(type, said.downsample_type)),
    ...up.slice(1).map((type) => ofType(type, said.upsample_type)),
  ]);
  if (ways.size > 1)
    throw new RangeError(
      `${file} has levels that a convolution leads to and levels that a residual block leads to; all must be "conv", or all "resnet" (ResnetDownsampleBlock2D, ResnetUpsampleBlock2D, or downsample_type and upsample_type of blocks with attention).`,
    );
  if (ways.has('resnet')) return 'residual';
  return said.downsample_padding === 1 ? 'conv' : 'conv-same';
}

const ditConfig = (said: v.InferOutput<typeof ditSchema>, times: Times): DitConfig => ({
  ...{ height: said.sample_size, width: said.sample_size, channels: said.in_channels },
  ...{ outputs: said.out_channels ?? said.in_channels, classes: said.num_embeds_ada_norm, patch: said.patch_size },
  ...{ size: said.num_attention_heads * said.attention_head_dim, depth: said.num_layers },
  ...{ heads: said.num_attention_heads, epsilon: said.norm_eps, time: { ...times, first: 'cos', shift: 1 } },
});
