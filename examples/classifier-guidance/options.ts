import { Command, InvalidArgumentError } from 'commander';

export interface Options {
  minutes: number;
  classifierMinutes: number;
  from?: string;
  out: string;
  samples: number;
  steps: number;
  seed: number;
  quick: boolean;
}

const number = (what: string, fits: (value: number) => boolean, accepted: string) => (text: string) => {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!fits(value)) throw new InvalidArgumentError(`${what} is "${text}"; it must be ${accepted}.`);
  return value;
};
const above = (what: string) => number(what, (value) => value > 0 && value < 1e5, 'above 0');
const integer = (what: string, least: number) =>
  number(what, (value) => Number.isSafeInteger(value) && value >= least, `an integer of at least ${least}`);

/** The command line of the example. Ends the program with a message on an option that does not fit. */
export function readOptions(): Options {
  const given = new Command('classifier-guidance')
    .description(
      'Samples MNIST digits by classifier guidance (ADM-G) and by classifier-free guidance at several weights, compares them\nat matched FID, and shows what the guiding classifier costs and how its gradients fool it.',
    )
    .option(
      '--minutes <M>',
      'training time of the diffusion model, where there is no checkpoint',
      above('minutes'),
      2.5,
    )
    .option('--classifier-minutes <M>', 'training time of the noise-aware classifier', above('minutes'), 1)
    .option('--from <file>', 'checkpoint of the diffusion model (default: that of npm run demo)')
    .option('--out <dir>', 'folder for pictures and report', 'out/classifier-guidance')
    .option('--samples <n>', 'samples at each weight', integer('samples', 20), 200)
    .option('--steps <T>', 'sampling steps', integer('steps', 2), 32)
    .option('--seed <n>', 'seed of everything random', integer('seed', 0), 0)
    .option('--quick', 'a few seconds of training and few samples, to see it run', false)
    .parse()
    .opts<Options>();
  return given.quick ? { ...given, minutes: 0.1, classifierMinutes: 0.05, samples: 20, steps: 4 } : given;
}
