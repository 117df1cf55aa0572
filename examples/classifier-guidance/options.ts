import { Command } from 'commander';
import { integer } from '../mnist/options.js';

export interface Options {
  trainingSteps: number;
  classifierSteps: number;
  judgeSteps: number;
  from?: string;
  out: string;
  samples: number;
  steps: number;
  seed: number;
  quick: boolean;
}

/** The command line of the example. Ends the program with a message on an option that does not fit. */
export function readOptions(): Options {
  const given = new Command('classifier-guidance')
    .description(
      'Samples MNIST digits by classifier guidance (ADM-G) and by classifier-free guidance at several weights, compares them\nat matched FID, and shows what the guiding classifier costs and how its gradients fool it.',
    )
    .option(
      '--training-steps <n>',
      'training steps of the diffusion model, where there is no checkpoint',
      integer('training-steps', 1),
      900,
    )
    .option(
      '--classifier-steps <n>',
      'training steps of the noise-aware classifier',
      integer('classifier-steps', 1),
      1000,
    )
    .option('--judge-steps <n>', 'training steps of the judge', integer('judge-steps', 1), 1500)
    .option('--from <file>', 'checkpoint of the diffusion model (default: that of npm run demo)')
    .option('--out <dir>', 'folder for pictures and report', 'out/classifier-guidance')
    .option('--samples <n>', 'samples at each weight', integer('samples', 20), 200)
    .option('--steps <T>', 'sampling steps', integer('steps', 2), 32)
    .option('--seed <n>', 'seed of everything random', integer('seed', 0), 0)
    .option('--quick', 'a few seconds in all, to see it run', false)
    .parse()
    .opts<Options>();
  return given.quick
    ? { ...given, trainingSteps: 12, classifierSteps: 12, judgeSteps: 40, samples: 20, steps: 4 }
    : given;
}
