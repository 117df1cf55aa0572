import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { eager, fold, key, labels } from '@logsnr/core';
import { batchTensors, flips, type ImageDataset, shuffledBatches } from '@logsnr/data';
import { lossChart, writePng } from '@logsnr/figures';
import { networkOf } from '@logsnr/networks';
import { shapesOf } from '@logsnr/nn';
import { progressLine, type Settings, withRun } from '@logsnr/runs';
import { native, useBackend } from '@logsnr/tensorflow';
import { adam, cosineDecay, train } from '@logsnr/training';
import { type Command, Option } from 'commander';
import { DATASETS, openDataset } from './datasets.js';
import { FORMAT, type ModelRecord, scheduleOf, writeRecord, writeWeights } from './model-folder.js';
import { above, integer, share } from './options.js';
import { planOf, planText } from './train-plan.js';
import { fitted, resized, TRAIN_PRESETS, type TrainingRecord, type TrainPreset } from './train-presets.js';

interface Options extends Partial<Omit<TrainingRecord, 'optimizer' | 'flip'>> {
  data?: string;
  size?: number;
  channels?: '1' | '3';
  skipBroken?: boolean;
  base?: number;
  learningRate?: number;
  warmup?: number;
  out?: string;
  fresh?: boolean;
  dryRun?: boolean;
  json?: boolean;
}

/** `logsnr train`: a class-conditional model with classifier-free guidance, in a run folder. */
export function addTrain(program: Command): void {
  const names = Object.keys(TRAIN_PRESETS);
  program
    .command('train')
    .description('train a class-conditional diffusion model for guidance, in a run folder; the same command goes on')
    .argument('[preset]', `settings: ${names.join(', ')}; with --data alone those of cifar10`)
    .option('--data <what>', `a folder of class/name.jpg or of .tar shards, or ${DATASETS.join(', ')}`)
    .option('--size <pixels>', 'height and width of the images (default: of the preset)', integer(1))
    .addOption(new Option('--channels <n>', 'of the images, with --data').choices(['1', '3']))
    .option('--skip-broken', 'leave out files of --data that are broken; else they are named and refused')
    .option('--base <n>', 'channels of the finest maps, for a smaller network on a small machine', integer(2))
    .option('--steps <n>', 'training steps in all, earlier starts included', integer(1))
    .option('--minutes <m>', 'stop after so long, if the steps are not done by then', above(0))
    .option('--batch <n>', 'images a step', integer(1))
    .option('--accumulate <n>', 'parts of equal size that a batch comes in, one after another in memory', integer(1))
    .option('--p-uncond <p>', 'share of the conditions that are ∅ in training', share)
    .option('--learning-rate <η>', "Adam's step", above(0))
    .option('--warmup <n>', 'steps over which the rate rises to it', integer(0))
    .option('--ema-decay <d>', 'of the average of the weights', share)
    .option('--seed <n>', 'seed of everything random', integer(0))
    .addOption(new Option('--precision <p>', 'of convolutions and products').choices(['float32', 'bfloat16']))
    .option('--out <folder>', 'the run folder (default: runs/NAME)')
    .option('--fresh', 'begin anew: remove what the folder has of an earlier run, unless that is at work')
    .option('--dry-run', 'print what it takes, and do nothing')
    .option('--json', 'lines of JSON: progress on standard error, the end on standard output')
    .addHelpText(
      'after',
      `
The run folder has model.json (all settings), checkpoints, metrics.jsonl, TensorBoard's events and, at the end, model.safetensors: the
averaged weights. \`logsnr sample\` and \`logsnr sweep\` need nothing else.

Examples:
  logsnr train mnist --out runs/mnist
  logsnr train --data photos --size 64 --base 64 --batch 16 --minutes 60
  logsnr train imagenet64 --data imagenet/train --accumulate 64 --precision bfloat16
  logsnr train imagenet64 --dry-run`,
    )
    .action(run);
}

async function run(name: string | undefined, options: Options): Promise<void> {
  const preset = presetOf(name, options);
  const { config, dataset } = await dataOf(preset, options);
  try {
    const record = recordOf(name, { ...preset, network: config }, options);
    if (options.dryRun) return await printPlan(record, options);
    if (!dataset)
      throw new RangeError(`"${name}" needs images: give --data FOLDER, with a folder for each class: class/name.jpg.`);
    await trainRecord(record, dataset, options);
  } finally {
    await dataset?.close();
  }
}

function presetOf(name: string | undefined, { data }: Options): TrainPreset {
  const names = Object.keys(TRAIN_PRESETS).join(', ');
  if (name === undefined && data === undefined)
    throw new RangeError(`give a preset or --data; the presets are ${names}.`);
  if (name !== undefined && !Object.hasOwn(TRAIN_PRESETS, name))
    throw new RangeError(`there is no preset "${name}"; the presets are ${names}. Images of your own: --data FOLDER.`);
  return TRAIN_PRESETS[name ?? (data && Object.hasOwn(TRAIN_PRESETS, data) ? data : 'cifar10')] as TrainPreset;
}

/** The data, and the network that fits them. The imagenet presets describe themselves without. */
async function dataOf({ network, data }: TrainPreset, options: Options) {
  const config = options.base === undefined ? network : resized(network, options.base);
  const { size = config.height, skipBroken = false } = options;
  const channels = Number(options.channels ?? config.channels);
  const named = options.data ?? data;
  if (named === undefined) return { config: fitted(config, { size, channels, classes: config.classes }) };
  const dataset = await openDataset(named, { size, channels, skipBroken });
  const { height, classes } = dataset;
  if (options.size !== undefined && options.size !== height)
    throw new RangeError(`--size is ${options.size}, but the images of ${named} have ${height} pixels; leave it out.`);
  return { config: fitted(config, { size: height, channels: dataset.channels, classes }), dataset };
}

/** All settings of a run, but for the data's hash. */
function recordOf(
  name: string | undefined,
  preset: TrainPreset,
  options: Options,
): ModelRecord & { training: TrainingRecord } {
  const { network: config, prediction, schedule, training } = preset;
  const { optimizer, ...numbers } = training;
  const given = Object.fromEntries(
    Object.keys(numbers).flatMap((of) => (of in options ? [[of, options[of as 'seed']]] : [])),
  );
  const { learningRate = optimizer.learningRate, warmup = optimizer.warmup, minutes } = options;
  const rate = { ...optimizer, learningRate, warmup };
  return {
    ...FORMAT,
    name: name ?? basename(options.data ?? 'model'),
    network: { kind: 'unet', config },
    ...{ prediction, schedule },
    training: {
      ...{ ...numbers, ...given, ...(minutes === undefined ? {} : { minutes }) },
      optimizer: rate,
    } as TrainingRecord,
  };
}

async function printPlan(record: ModelRecord & { training: TrainingRecord }, { json }: Options): Promise<void> {
  const plan = await planOf(record, record.training);
  console.log(json ? JSON.stringify({ ...record, plan }) : planText(plan, record.training));
}

async function trainRecord(
  given: ModelRecord & { training: TrainingRecord },
  dataset: ImageDataset,
  { out = join('runs', given.name), fresh, json, data = given.name }: Options,
): Promise<void> {
  const { backend, tensorflow } = await useBackend({ quiet: json ?? false });
  const network = networkOf({ network: given.network });
  const record = {
    ...given,
    classNames: dataset.classNames,
    data: { name: data, count: dataset.count, sha256: await dataset.hash() },
    versions: versionsWith(tensorflow),
  };
  const { steps, minutes, seed, batch, accumulate, pUncond, precision, emaDecay, optimizer, flip } = given.training;
  const k = key(seed);
  const batches = shuffledBatches(dataset, { key: fold(k, 2), batchSize: batch, ...(flip ? { change: flips } : {}) });
  const { learningRate, last, warmup, clipNorm } = optimizer;
  const line = await progressLine({ mode: json ? 'json' : 'line' });
  try {
    const trained = await withRun(
      { folder: out, fresh, settings: settingsOf(record), shapes: shapesOf(network), onStep: line.update },
      async (run) => {
        await writeRecord(out, record);
        return train({
          ...{
            network,
            prediction: given.prediction,
            conditioning: labels(dataset.classes),
            pUncond,
            emaDecay,
            steps,
            accumulate,
          },
          ...(minutes === undefined ? {} : { minutes }),
          schedule: scheduleOf(record.schedule as NonNullable<typeof record.schedule>),
          async batch(step) {
            const { images, labels } = batchTensors(await batches(step));
            return { images, condition: labels };
          },
          optimizer: adam({
            learningRate: last === undefined ? learningRate : cosineDecay(learningRate, last),
            warmup,
            ...(clipNorm === undefined ? {} : { clipNorm }),
          }),
          key: fold(k, 3),
          runtime: backend === 'tensorflow' ? native({ precision }) : eager,
          ...run,
        });
      },
    );
    line.stop();
    await writeWeights(out, given.network, trained.ema);
    await writePng(join(out, 'loss.png'), lossChart(trained.losses, { title: 'Training loss ‖ε_θ(z, c) − ε‖²' }));
    const recent = trained.losses.filter(Number.isFinite).slice(-100);
    const loss = recent.reduce((sum, one) => sum + one / recent.length, 0);
    const { step, seconds, skipped } = trained;
    const end = { out, step, seconds, loss, skipped: skipped.length };
    console.log(
      json
        ? JSON.stringify(end)
        : `${out}: ${step} steps in ${seconds.toFixed(0)} s, loss ${loss.toFixed(4)}. Go on with: logsnr sample ${out} --class 0 --w 1`,
    );
  } finally {
    line.stop();
    await batches.stop();
  }
}

/** What the run's numbers depend on. Another number of steps goes on from where the run is. */
function settingsOf({
  network,
  prediction,
  schedule,
  data,
  training,
}: ModelRecord & { data: { sha256: string }; training: TrainingRecord }): Settings {
  const { steps: _, minutes: __, ...rest } = training;
  const all = { network, prediction, schedule, data: data.sha256, ...rest };
  return JSON.parse(JSON.stringify(all)) as Settings;
}

/** The versions of what makes the numbers. */
function versionsWith(tensorflow: string | null): Record<string, string> {
  const { version } = createRequire(import.meta.url)('../package.json') as { version: string };
  return { '@logsnr/cli': version, node: process.versions.node, ...(tensorflow ? { tensorflow } : {}) };
}
