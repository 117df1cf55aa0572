import { checkShape } from '@logsnr/core';
import {
  conv,
  groupNorm,
  type Module,
  module,
  type Network,
  type NetworkInput,
  ops,
  type ParameterSpec,
  type Used,
} from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { noiseEmbedding } from './noise-embedding.js';
import { classCondition, noCondition, type UnetCondition } from './unet-condition.js';
import { checkInput, type Level, type UnetConfig, unetLevels } from './unet-config.js';
import { checkPerturbation, type UnetPerturbation } from './unet-perturbation.js';
import { filmsOf, goDown, join, type Stage, stageMaker, through, via, wayDown } from './unet-stages.js';

/** How a {@link unet} is conditioned, and what is broken in it. */
export interface UnetOptions<C> extends UnetPerturbation {
  /** What a condition adds to the network. Default class labels, or nothing with `classes: 0`. */
  readonly condition?: UnetCondition<C> | undefined;
}

/**
 * The U-Net (Ronneberger et al. 2015, arXiv 1505.04597) of ADM (Dhariwal & Nichol 2021, arXiv 2105.05233, section 3),
 * conditioned on λ and whatever `condition` embeds.
 *
 * It is made of residual blocks, see `residualBlock` of `@logsnr/nn`. The embedding of λ and condition scales and shifts
 * their second norms. Self-attention follows them at the given resolutions. The way up is given the features of the way
 * down. The last convolution of every branch and of the network starts at zero, so fresh parameters give 0 everywhere.
 *
 * z is [n, height, width, channels] and λ is [n], in nats. The output has `outputs` channels. Without `condition`, conditions
 * are labels int32 [n], of which `classes` is ∅, or class embeddings (`classEmbeddings`).
 *
 * With `attention` or `skip` it is a weaker network with the same parameters, to be guided away from.
 * @throws RangeError on a configuration that fits no network, and in `apply` on shapes or types that do not fit.
 */
export function unet(config: UnetConfig, options?: UnetOptions<tf.Tensor1D>): Network<tf.Tensor1D>;
export function unet<C>(config: UnetConfig, options: UnetOptions<C>): Network<C>;
export function unet<C>(config: UnetConfig, options: UnetOptions<C> = {}): Network<C> {
  const levels = unetLevels(config);
  const { height, width, channels, outputs = channels, classes, nullClass, base, blocks } = config;
  const { embedding = 4 * base } = config;
  const given = classes > 0 ? classCondition(classes, embedding, { nullClass }) : noCondition;
  const condition = options.condition ?? (given as unknown as UnetCondition<C>);
  const name = condition.name ?? 'condition';
  if (['lambda', 'in', 'down', 'middle', 'up', 'out'].includes(name))
    throw new RangeError(
      `the condition's name is "${name}", which the network has for parts of its own; give another.`,
    );
  const maker = stageMaker(config, options);
  const down = wayDown(config, levels, channels + (condition.channels ?? 0), maker);
  const kept = [...down.kept];
  let from = (levels[levels.length - 1] as Level).channels;
  const up: Stage[] = [];
  for (const [i, level] of [...levels.entries()].reverse()) {
    const widths = Array.from({ length: blocks + 1 }, (_, at) => (at === 0 ? from : level.channels));
    from = level.channels;
    const stage = maker.stage(
      `up.${i}`,
      level,
      widths.map((width) => width + (kept.pop() as number)),
    );
    up.unshift({ ...stage, upsample: i > 0 ? maker.leading('up', `up.${i}`, from) : undefined });
  }
  checkPerturbation(options, maker.names);

  const parts = {
    lambda: noiseEmbedding(config.time, base, embedding),
    // An unknown name would lose the type of the others.
    ...({ [name]: condition.module } as object),
    ...down.parts,
    up,
    out: head(from, outputs, config),
  };
  return module(parts, (used, { z, lambda, condition: c }: NetworkInput<C>) => {
    checkInput(z, [null, height, width, channels], lambda);
    const n = z.shape[0] as number;
    condition.check?.(c, n);
    const embed = (used as unknown as Record<string, Used<UnetCondition<C>['module']>>)[name];
    const { vector, image } = embed?.({ condition: c, z: z as tf.Tensor4D }) ?? {};
    if (vector) checkShape('the embedding of the condition', vector, [n, embedding]);
    const ofLambda = used.lambda(lambda);
    const films = filmsOf(
      [...used.down, used.middle, ...used.up],
      ops.silu(vector ? tf.add(ofLambda, vector) : ofLambda),
      config,
    );
    const whole = image ? join(z as tf.Tensor4D, image) : (z as tf.Tensor4D);
    const { x: middle, kept } = goDown(used, whole, films);
    let x = middle;
    for (const stage of [...used.up].reverse()) {
      stage.block.forEach((_, at) => {
        x = through(stage, at, join(x, kept.pop() as tf.Tensor4D), films);
      });
      if (stage.upsample) x = via(stage.upsample, x, films);
    }
    return used.out(x);
  });
}

/** Group norm, SiLU and the last convolution, whose parameters stand beside the norm. */
function head(from: number, to: number, { groups, epsilon }: UnetConfig): Module<tf.Tensor4D, tf.Tensor4D> {
  const last = conv(from, to, { zero: true });
  const norm = groupNorm(from, groups, { silu: true, epsilon });
  const own = last.parameters as Record<'kernel' | 'bias', ParameterSpec>;
  return module({ norm, kernel: own.kernel, bias: own.bias }, ({ norm, kernel, bias }, x: tf.Tensor4D, context) =>
    last.apply({ kernel, bias }, norm(x), context),
  );
}
