import { Command, InvalidArgumentError, Option } from 'commander';

export interface Options {
  minutes: number;
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
const integer = (what: string, least: number) =>
  number(what, (value) => Number.isSafeInteger(value) && value >= least, `an integer of at least ${least}`);
const weights = (text: string) =>
  text.split(',').map(number('w', Number.isFinite, 'a list of finite numbers, such as 0,0.5,1,2,4'));

/** The command line of the example. Ends the program with a message on an option that does not fit. */
export function readOptions(): Options {
  return new Command('demo')
    .description(
      'Trains a class-conditional diffusion model on MNIST with classifier-free guidance, samples the ten digits at\nseveral guidance weights w from the same noise, and measures FID and Inception Score.',
    )
    .option(
      '--minutes <M>',
      'training time in all, earlier starts included',
      number('minutes', (m) => m > 0 && m < 1e5, 'above 0'),
      2.5,
    )
    .option('--out <dir>', 'the run folder: the same command again goes on from its newest checkpoint', 'out/mnist')
    .option('--w <list>', 'guidance weights; 0 is no guidance', weights, [0, 0.5, 1, 2, 4])
    .option('--steps <T>', 'sampling steps', integer('steps', 2), 32)
    .addOption(
      new Option('--samples <n>', 'samples at each w (default: 500, without native TensorFlow 100)').argParser(
        integer('samples', 20),
      ),
    )
    .option('--seed <n>', 'seed of everything random', integer('seed', 0), 0)
    .option('--from <file>', 'begin with this checkpoint.safetensors of another folder')
    .option('--fresh', 'begin anew: removes the run in the folder')
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
    .parse()
    .opts<Options>();
}
