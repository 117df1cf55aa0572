import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, InvalidArgumentError, Option } from 'commander';

export interface Options {
  trainingSteps: number;
  batch: number;
  minutes?: number;
  judgeSteps: number;
  out: string;
  w: number[];
  steps: number;
  samples?: number;
  seed: number;
  from?: string;
  fresh?: boolean;
  progress: 'line' | 'json' | 'quiet';
  compile: boolean;
  precision: 'float32' | 'bfloat16';
}

const number = (what: string, fits: (value: number) => boolean, accepted: string) => (text: string) => {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!fits(value)) throw new InvalidArgumentError(`${what} is "${text}"; it must be ${accepted}.`);
  return value;
};
/** A reader of whole numbers for an option. */
export const integer = (what: string, least: number) =>
  number(what, (value) => Number.isSafeInteger(value) && value >= least, `an integer of at least ${least}`);
// Tensors hold float32, in which a number above 3.4e38 is infinite.
const finite = (value: number) => Number.isFinite(Math.fround(value));
const weights = (text: string) =>
  text.split(',').map(number('w', finite, 'a list of finite float32 numbers, such as 0,0.5,1,2,4'));
const file = (path: string) => {
  if (!statSync(path, { throwIfNoEntry: false })?.isFile())
    throw new InvalidArgumentError(`There is no file ${path}. Give the checkpoint.safetensors of an earlier run.`);
  return resolve(path);
};

/** The command line of the example. Ends the program with a message on an option that does not fit. */
export function readOptions(): Options {
  const command = new Command('demo')
    .description(
      'Trains a class-conditional diffusion model on MNIST with classifier-free guidance, samples the ten digits at\nseveral guidance weights w from the same noise, and measures FID and Inception Score.',
    )
    .option('--training-steps <n>', 'training steps in all, earlier starts included', integer('training-steps', 1), 900)
    .option('--batch <n>', 'images a training step; fewer where one takes long', integer('batch', 1), 64)
    .option(
      '--minutes <M>',
      'stop training after so long, if the steps are not done by then',
      number('minutes', (m) => m > 0 && m < 1e5, 'above 0 and below 100000'),
    )
    .option('--judge-steps <n>', 'training steps of the classifier that judges', integer('judge-steps', 1), 1500)
    .option('--out <dir>', 'the run folder: the same command again goes on from its newest checkpoint', 'out/mnist')
    .option('--w <list>', 'guidance weights; 0 is no guidance', weights, [0, 0.5, 1, 2, 4])
    .option('--steps <T>', 'sampling steps', integer('steps', 2), 32)
    .addOption(
      new Option('--samples <n>', 'samples at each w (default: 500, without native TensorFlow 100)').argParser(
        integer('samples', 20),
      ),
    )
    .option('--seed <n>', 'seed of everything random', integer('seed', 0), 0)
    .option('--from <file>', 'begin with the weights of this checkpoint.safetensors', file)
    .option('--fresh', 'begin anew: remove what the folder has of an earlier run, unless that is at work')
    .addOption(
      new Option('--progress <mode>', 'how training reports: for people, for machines, or not at all')
        .choices(['line', 'json', 'quiet'])
        .default('line'),
    )
    .option('--no-compile', 'run operation by operation, without compiled graphs')
    .addOption(
      new Option('--precision <p>', 'of convolutions and products in compiled graphs')
        .choices(['float32', 'bfloat16'])
        .default('float32'),
    )
    .option('--quick', 'a few seconds in all, to see it run, in a folder of its own')
    .parse();
  const options = command.opts<Options & { quick?: boolean }>();
  // The run's own weights are no others': it goes on from its checkpoint.
  if (options.from === resolve(options.out, 'checkpoint.safetensors')) delete options.from;
  if (!options.quick) return options;
  const quick = { trainingSteps: 12, judgeSteps: 40, samples: 20, steps: 4, w: [0, 1], out: 'out/mnist-quick' };
  const asked = (name: string) => command.getOptionValueSource(name) === 'cli';
  return { ...options, ...Object.fromEntries(Object.entries(quick).filter(([name]) => !asked(name))) };
}

// Run by itself, before the set-up, it checks the command line or prints the help.
if (realpathSync(process.argv[1] ?? '') === fileURLToPath(import.meta.url)) readOptions();
