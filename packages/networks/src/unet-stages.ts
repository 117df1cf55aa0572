import {
  attentionBlock,
  conv,
  films,
  type Modulation,
  type Module,
  type ResidualInput,
  type Run,
  residualBlock,
  type Used,
} from '@logsnr/nn';
import { concat, type Tensor2D, type Tensor4D } from '@tensorflow/tfjs-core';
import { resampler } from './resampler.js';
import { type Level, middleLevel, type UnetConfig } from './unet-config.js';
import type { UnetPerturbation } from './unet-perturbation.js';

type Block = Module<ResidualInput, Tensor4D>;

/** Residual blocks of one resolution, some of them followed by self-attention, and what leads to the next resolution. */
export type Stage = {
  readonly block: readonly Block[];
  readonly attention: readonly (Module<Tensor4D, Tensor4D> | undefined)[];
  readonly downsample?: Block | undefined;
  readonly upsample?: Block | undefined;
};

/** Makes the stages of a U-Net, and notes the names of what it makes. */
export function stageMaker(config: UnetConfig, { attention = undefined, at, skip = [] }: UnetPerturbation = {}) {
  const { base, groups, dropout, embedding = 4 * base, scaleShift, skipBias, epsilon, resample = 'pool' } = config;
  const names = { blocks: [] as string[], layers: [] as string[] };
  const block = (name: string, from: number, to: number, resample?: 'down' | 'up'): Block => {
    names.blocks.push(name);
    const form = { scaleShift, skipBias, epsilon, resample };
    return residualBlock(from, to, { embedding, groups, dropout, ...form, branch: !skip.includes(name) });
  };
  /** `inputs` are the channels that come to each block; `attended` of the blocks may have attention. */
  const stage = (
    path: string,
    { channels, heads }: Level,
    inputs: readonly number[],
    attended = inputs.length,
  ): Stage => ({
    block: inputs.map((from, i) => block(`${path}.block.${i}`, from, channels)),
    attention: inputs.slice(0, attended).map((_, i) => {
      if (heads === 0) return undefined;
      const name = `${path}.attention.${i}`;
      names.layers.push(name);
      const attends = !at || at.includes(name) ? attention : undefined;
      return attentionBlock(channels, { groups, heads, attends, epsilon, branch: !skip.includes(name) });
    }),
  });
  /** What halves or doubles the pixels after a stage. */
  const leading = (way: 'down' | 'up', path: string, channels: number): Block =>
    resample === 'residual'
      ? block(`${path}.${way}sample`, channels, channels, way)
      : resampler(channels, { way, by: resample });
  return { stage, leading, names };
}

type UsedStage = Used<Stage>;
type UsedBlock = Run<ResidualInput, Tensor4D>;

/** What the embedding does to every block of the stages, from one product for all of them. */
export function filmsOf(stages: readonly UsedStage[], embedding: Tensor2D, { scaleShift }: UnetConfig): Films {
  const blocks = stages
    .flatMap(({ block, downsample, upsample }) => [...block, downsample, upsample])
    .filter((run): run is UsedBlock => run?.parameters.film !== undefined);
  const made = films(
    blocks.map(({ parameters }) => ({ parameters: parameters.film as never })),
    embedding,
    scaleShift,
  );
  return new Map(blocks.map((block, i) => [block, made[i] as Modulation]));
}

export type Films = ReadonlyMap<UsedBlock, Modulation>;

/** x through a block, or through what leads to the next resolution. */
export const via = (run: UsedBlock, x: Tensor4D, films: Films): Tensor4D =>
  run({ x, condition: films.get(run) as Modulation });

/** x through block `i` of a stage, and its attention. */
export function through({ block, attention }: UsedStage, i: number, x: Tensor4D, films: Films): Tensor4D {
  const y = via(block[i] as UsedBlock, x, films);
  return attention[i]?.(y) ?? y;
}

export const join = (x: Tensor4D, kept: Tensor4D): Tensor4D => concat([x, kept], 3);

/** The way down and the middle of a U-Net, and the channels of what it keeps for the way up. */
export function wayDown(
  config: UnetConfig,
  levels: readonly Level[],
  inputs: number,
  maker: ReturnType<typeof stageMaker>,
) {
  const { blocks } = config;
  const first = (levels[0] as Level).channels;
  const kept = [first];
  let from = first;
  const down = levels.map((level, i) => {
    const widths = Array.from({ length: blocks }, (_, at) => (at === 0 ? from : level.channels));
    from = level.channels;
    const stage = maker.stage(`down.${i}`, level, widths);
    const last = i === levels.length - 1;
    kept.push(...Array.from({ length: last ? blocks : blocks + 1 }, () => from));
    return { ...stage, downsample: last ? undefined : maker.leading('down', `down.${i}`, from) };
  });
  const middle = maker.stage('middle', middleLevel(config, levels), [from, from], 1);
  return { parts: { in: conv(inputs, first), down, middle }, kept };
}

type Down = Used<ReturnType<typeof wayDown>['parts']>;

/** What comes out of the middle, and what is kept on the way: the input, and what each block and each halving gives. */
export function goDown({ in: input, down, middle }: Down, z: Tensor4D, films: Films) {
  let x = input(z);
  const kept = [x];
  for (const stage of down) {
    stage.block.forEach((_, at) => {
      x = through(stage, at, x, films);
      kept.push(x);
    });
    if (!stage.downsample) continue;
    x = via(stage.downsample, x, films);
    kept.push(x);
  }
  x = through(middle, 0, x, films);
  return { x: through(middle, 1, x, films), kept };
}
