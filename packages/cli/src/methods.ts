import { eager, type Key } from '@logsnr/core';
import { type GuidanceChoice, guidanceOf, readGuidance } from '@logsnr/guidance';
import {
  ancestral,
  compileSampler,
  ddim,
  ddpm,
  deis,
  dpmSolver2,
  dpmSolverPP2M,
  dpmSolverPP3M,
  edmStochastic,
  eulerAncestral,
  heun,
  pndm,
  type Sampler,
  saSolver,
  unipc,
} from '@logsnr/samplers';
import { grid } from '@logsnr/schedules';
import { native, useBackend } from '@logsnr/tensorflow';
import type { Tensor } from '@tensorflow/tfjs-core';
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { LoadedFolder } from './model-folder.js';

const SAMPLERS: Readonly<Record<string, (v: number) => unknown>> = {
  ancestral: (v) => ancestral({ v }),
  ddim: () => ddim(),
  ddpm: () => ddpm(),
  heun: () => heun(),
  deis: () => deis(),
  pndm: () => pndm(),
  unipc: () => unipc(),
  'dpm-solver-2': () => dpmSolver2(),
  'dpm-solver-pp-2m': () => dpmSolverPP2M(),
  'dpm-solver-pp-3m': () => dpmSolverPP3M(),
  'euler-ancestral': () => eulerAncestral(),
  'edm-stochastic': () => edmStochastic(),
  'sa-solver': () => saSolver(),
};

/** The methods of docs/guidance.md that need a model and its classes alone, with settings of their papers. */
const GUIDANCE: Readonly<Record<string, GuidanceChoice>> = {
  'classifier-free': { method: 'classifier-free', w: 1 },
  interval: { method: 'classifier-free', w: { w: 1, sigma: [0.28, 2.9] } },
  rising: { method: 'classifier-free', w: { w: 1, rising: 'linear' } },
  rescale: { method: 'classifier-free', w: 1, rule: { rescale: 0.7 } },
  apg: { method: 'classifier-free', w: 1, rule: { apg: { eta: 0 } } },
  'cfg-zero-star': { method: 'classifier-free', w: 1, rule: { cfgZeroStar: {} } },
  tcfg: { method: 'classifier-free', w: 1, rule: 'tcfg' },
  'smc-cfg': { method: 'classifier-free', w: 1, rule: { slidingMode: {} } },
  momentum: { method: 'classifier-free', w: 1, momentum: { w: 0.5 } },
  'mambo-g': { method: 'classifier-free', w: 1, rule: { mamboG: 1 } },
  'cfg-plus-plus': { method: 'cfg-plus-plus', w: 1 },
};

const PLAIN = GUIDANCE['classifier-free'] as GuidanceChoice;

/** Reads a method's name, or a choice in JSON, whose weight is that of --w. */
function guidance(text: string): GuidanceChoice {
  const named = GUIDANCE[text];
  if (named) return named;
  const names = Object.keys(GUIDANCE).join(', ');
  if (!text.startsWith('{')) throw new InvalidArgumentError(`It must be ${names}, or a choice as JSON.`);
  try {
    return readGuidance({ w: 1, ...JSON.parse(text) });
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message);
  }
}

/** A choice at another w. */
const weighed = (choice: GuidanceChoice, w: number): GuidanceChoice =>
  ({ ...choice, w: typeof choice.w === 'number' ? w : { ...choice.w, w } }) as GuidanceChoice;

/** How samples are drawn. */
export interface Drawing {
  /** One of those that `--help` names. */
  readonly sampler: string;
  readonly v: number;
  /** Classifier-free guidance unless given. Its weight is not used. */
  readonly guidance?: GuidanceChoice | undefined;
  readonly precision: 'float32' | 'bfloat16';
}

/** Adds the options of {@link Drawing}. */
export function addDrawing(command: Command, number: (text: string) => number): Command {
  return command
    .addOption(new Option('--sampler <name>', 'the sampler').choices(Object.keys(SAMPLERS)).default('ancestral'))
    .option(
      '--v <v>',
      "of ancestral sampling: its variance is between the posterior's (0) and the forward step's (1)",
      number,
      0.3,
    )
    .option(
      '--guidance <method>',
      `${Object.keys(GUIDANCE).join(', ')}, or a GuidanceChoice of @logsnr/guidance as JSON (default: classifier-free)`,
      guidance,
    )
    .addOption(
      new Option('--precision <p>', 'of convolutions and products').choices(['float32', 'bfloat16']).default('float32'),
    );
}

/** Draws samples from number `first` on that show these labels; they are the caller's. */
export interface Drawer {
  draw(first: number, labels: readonly number[]): Tensor;
  /** The method at its weight. */
  readonly guidance: GuidanceChoice;
  dispose(): void;
}

/**
 * Draws from a model at w in T steps. Sample i depends on (key, i, its label) alone.
 * @throws RangeError where the model has no ∅ and w is not 0.
 */
export async function drawerOf(
  { model, conditioning, schedule, image, record }: LoadedFolder,
  { sampler, v, guidance = PLAIN, precision, w, steps, key }: Drawing & { w: number; steps: number; key: Key },
): Promise<Drawer> {
  if (w !== 0 && conditioning.nullLabel === null)
    throw new RangeError(`"${record.name}" has no ∅, so it cannot be guided by itself: w is ${w}; it must be 0.`);
  const { backend } = await useBackend();
  const lambdas = grid(schedule, steps);
  const own = weighed(guidance, w);
  const guided = guidanceOf(own, { model, conditioning, lambdas });
  const runtime = backend === 'tensorflow' ? native({ precision }) : eager;
  const compiled = compileSampler(runtime, { model: guided, sampler: SAMPLERS[sampler]?.(v) as Sampler<unknown> });
  return {
    guidance: own,
    draw(firstSample, labels) {
      const condition = conditioning.of(labels);
      try {
        return compiled.sample({ condition, lambdas, shape: [labels.length, ...image], key, firstSample });
      } finally {
        condition.dispose();
      }
    },
    dispose: () => compiled.dispose(),
  };
}
