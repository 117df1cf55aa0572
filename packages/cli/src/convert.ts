import { readdir } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { preset, presetNames } from '@logsnr/networks';
import { type LoadedModel, loadModel, type ModelSpec, type Peer, saveParameters } from '@logsnr/pretrained';
import { useBackend } from '@logsnr/tensorflow';
import { type Command, Option } from 'commander';
import { FORMAT, type ModelRecord, openModel, writeRecord, writeWeights } from './model-folder.js';
import { checkNew, integer } from './options.js';

interface Options {
  preset?: string;
  under?: string;
  nullLabel?: number;
  attentionOrder?: 'legacy' | 'new';
  as?: Peer;
  overwrite?: boolean;
}

/** `logsnr convert`: checkpoints of others into model folders, and back. */
export function addConvert(program: Command): void {
  program
    .command('convert')
    .description('make a model folder of a published checkpoint, or a checkpoint that a peer loads of a model')
    .argument('<from>', 'a file of --preset, a folder of diffusers, or a model: see `logsnr sample --help`')
    .argument('<to>', 'a new folder for a model, or with --as a file: .safetensors, .pt, .pth or .bin')
    .option('--preset <name>', 'what the file FROM is of')
    .option('--under <prefix>', 'the dict within FROM that holds the parameters, such as ema or state_dict')
    .option(
      '--null-label <n>',
      'the label that stands for ∅, of a network whose configuration does not say',
      integer(0),
    )
    .addOption(
      new Option(
        '--attention-order <order>',
        "of guided-diffusion's q, k and v (default: that of the published file)",
      ).choices(['legacy', 'new']),
    )
    .addOption(
      new Option('--as <peer>', 'whose names and layouts the file TO has').choices([
        'guided-diffusion',
        'dit',
        'diffusers',
        'logsnr',
      ]),
    )
    .option('--overwrite', 'replace what is at TO')
    .addHelpText(
      'after',
      `
Presets: ${presetNames.join(', ')}

Examples:
  logsnr convert 64x64_diffusion.pt adm64 --preset adm-imagenet64
  logsnr convert google/ddpm-cifar10-32 ddpm
  logsnr convert runs/cifar10 weights.pt --as guided-diffusion`,
    )
    .action(run);
}

async function run(from: string, to: string, options: Options): Promise<void> {
  const { as, attentionOrder, overwrite = false } = options;
  if (as === undefined && extname(to) !== '')
    throw new RangeError(
      `${to} is a file's name; give a new folder for the model, or --as to write a file for a peer.`,
    );
  if (!overwrite) await checkNew(to);
  await useBackend({ quiet: true });
  const model = await load(from, options);
  const { spec, prediction, variance, conditioning, parameters } = model;
  try {
    if (as) return await saveParameters(spec, parameters, to, { as, attentionOrder, overwrite });
    const { classes, nullClass = true } = spec.config;
    const nullLabel = classes > 0 && !nullClass ? conditioning.nullLabel : undefined;
    const made = { ...FORMAT, name: basename(to), network: spec, prediction, variance, nullLabel };
    await writeWeights(to, spec, parameters);
    await writeRecord(to, model.record ?? made);
  } finally {
    model.dispose();
  }
}

type Loaded = LoadedModel<'unet' | 'dit'> & { readonly record?: ModelRecord };

async function load(from: string, { preset: name, under, nullLabel, attentionOrder }: Options): Promise<Loaded> {
  const options = { under, nullLabel, attentionOrder };
  if (name === undefined) return (await isDiffusers(from)) ? loadModel(from, { nullLabel, under }) : openModel(from);
  const { network, ...rest } = preset(name);
  if (network.kind !== 'unet' && network.kind !== 'dit')
    throw new RangeError(`the preset "${name}" is a ${network.kind}; convert takes those of kind unet and dit.`);
  return loadModel({ network, ...rest } as ModelSpec<'unet' | 'dit'>, from, options);
}

/** Whether a path is a folder of diffusers: of a model, or of a pipeline. */
async function isDiffusers(path: string): Promise<boolean> {
  const names = await readdir(path).catch(() => [] as string[]);
  return !names.includes('model.json') && ['config.json', 'unet', 'transformer'].some((name) => names.includes(name));
}
