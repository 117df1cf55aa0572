import {
  attentionBlock,
  conv,
  films,
  type Module,
  ops,
  type ResidualInput,
  residualBlock,
  type Used,
} from '@logsnr/nn';
import { concat, type Tensor2D, type Tensor4D } from '@tensorflow/tfjs-core';
import type { Level, UnetConfig } from './unet-config.js';
import type { UnetPerturbation } from './unet-perturbation.js';

/** Residual blocks of one resolution, some of them followed by self-attention. */
export type Stage = {
  readonly block: readonly Module<ResidualInput, Tensor4D>[];
  readonly attention: readonly (Module<Tensor4D, Tensor4D> | undefined)[];
};

/** Makes the stages of a U-Net, and notes the names of what it makes. */
export function stageMaker(config: UnetConfig, { attention = undefined, at, skip = [] }: UnetPerturbation = {}) {
  const { base, groups, dropout, embedding = 4 * base } = config;
  const names = { blocks: [] as string[], layers: [] as string[] };
  /** `inputs` are the channels that come to each block; `attended` of the blocks may have attention. */
  const stage = (
    path: string,
    { channels, heads }: Level,
    inputs: readonly number[],
    attended = inputs.length,
  ): Stage => ({
    block: inputs.map((from, i) => {
      const name = `${path}.block.${i}`;
      names.blocks.push(name);
      return residualBlock(from, channels, { embedding, groups, dropout, branch: !skip.includes(name) });
    }),
    attention: inputs.slice(0, attended).map((_, i) => {
      if (heads === 0) return undefined;
      const name = `${path}.attention.${i}`;
      names.layers.push(name);
      const attends = !at || at.includes(name) ? attention : undefined;
      return attentionBlock(channels, { groups, heads, attends, branch: !skip.includes(name) });
    }),
  });
  return { stage, names };
}

type UsedStage = Used<Stage>;

/** Scale and shift of every residual block of the stages, from one product for all of them. */
export function filmsOf(stages: readonly UsedStage[], embedding: Tensor2D): Map<UsedStage['block'][number], ops.Film> {
  const blocks = stages.flatMap(({ block }) => block);
  const made = films(
    blocks.map(({ parameters }) => ({ parameters: parameters.film as never })),
    embedding,
  );
  return new Map(blocks.map((block, i) => [block, made[i] as ops.Film]));
}

export type Films = ReturnType<typeof filmsOf>;

/** x through block `i` of a stage, and its attention. */
export function through({ block, attention }: UsedStage, i: number, x: Tensor4D, films: Films): Tensor4D {
  const run = block[i] as UsedStage['block'][number];
  const y = run({ x, condition: films.get(run) as ops.Film });
  return attention[i]?.(y) ?? y;
}

export const join = (x: Tensor4D, kept: Tensor4D): Tensor4D => concat([x, kept], 3);

/** The way down and the middle of a U-Net, and the channels of what it keeps for the way up. */
export function wayDown(
  levels: readonly Level[],
  blocks: number,
  inputs: number,
  maker: ReturnType<typeof stageMaker>,
) {
  const first = (levels[0] as Level).channels;
  const last = levels[levels.length - 1] as Level;
  const kept = [first];
  let from = first;
  const down = levels.map((level, i) => {
    const stage = maker.stage(
      `down.${i}`,
      level,
      Array.from({ length: blocks }, (_, at) => (at === 0 ? from : level.channels)),
    );
    from = level.channels;
    kept.push(...Array.from({ length: i < levels.length - 1 ? blocks + 1 : blocks }, () => from));
    return stage;
  });
  const middle = maker.stage('middle', last, [last.channels, last.channels], 1);
  return { parts: { in: conv(inputs, first), down, middle }, kept };
}

type Down = Used<ReturnType<typeof wayDown>['parts']>;

/** What comes out of the middle, and what is kept on the way: the input, and what each block and each halving gives. */
export function goDown({ in: input, down, middle }: Down, z: Tensor4D, films: Films) {
  let x = input(z);
  const kept = [x];
  down.forEach((stage, i) => {
    stage.block.forEach((_, at) => {
      x = through(stage, at, x, films);
      kept.push(x);
    });
    if (i === down.length - 1) return;
    x = ops.downsample(x);
    kept.push(x);
  });
  x = through(middle, 0, x, films);
  return { x: through(middle, 1, x, films), kept };
}
