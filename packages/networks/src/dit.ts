import {
  linear,
  mlpBlock,
  modulatedLinear,
  module,
  type Network,
  type NetworkInput,
  ops,
  transformerBlock,
  type Used,
} from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { checkDit, checkMlp, type DitConfig, type MlpConfig, type TokensConfig } from './dit-config.js';
import { noiseEmbedding } from './noise-embedding.js';
import { classCondition, noCondition } from './unet-condition.js';
import { checkInput } from './unet-config.js';

type Input = NetworkInput<tf.Tensor1D>;

/**
 * The diffusion transformer DiT with adaLN-Zero (Peebles & Xie 2022, arXiv 2212.09748). Squares of `patch` × `patch` pixels are
 * tokens, to which a fixed table of their positions is added. `depth` blocks follow, see `transformerBlock` of `@logsnr/nn`. The
 * sum of the embeddings of λ and class scales and shifts the norms. The modulations and the last map begin at zero, so fresh
 * parameters give 0 everywhere.
 *
 * z is [n, height, width, channels] and λ is [n], in nats. The output has `outputs` channels. Conditions are labels int32 [n],
 * of which `classes` is ∅, or class embeddings (`classEmbeddings`).
 * @throws RangeError on a configuration that fits no network, and in `apply` on shapes or types that do not fit.
 */
export function dit(config: DitConfig): Network<tf.Tensor1D> {
  checkDit(config);
  const { height, width, channels, outputs = channels, patch, size, depth, heads, ratio, epsilon } = config;
  const { parts, embed } = embeddings(config);
  const all = {
    ...parts,
    patch: linear(patch * patch * channels, size, { xavier: true }),
    block: Array.from({ length: depth }, () => transformerBlock(size, { heads, ratio, epsilon })),
    out: modulatedLinear(size, patch * patch * outputs),
  };
  return module(all, (used, input: Input) => {
    const { z, lambda } = input;
    checkInput(z, [null, height, width, channels], lambda);
    const condition = embed(used, input);
    const tokens = used.patch(ops.patchify(z as tf.Tensor4D, patch));
    const placed = tf.add(tokens, ops.positionTable(height / patch, width / patch, size)) as tf.Tensor3D;
    const x = used.block.reduce((x, block) => block({ x, condition }), placed);
    return ops.unpatchify(used.out({ x, condition }), patch, height, width);
  });
}

/**
 * A small network for data in the plane, or any vectors: z [n, dimensions] and λ [n], in nats, to [n, outputs]. A linear map,
 * `depth` residual blocks of two linear maps (`mlpBlock` of `@logsnr/nn`), whose norms the embeddings of λ and class scale and
 * shift, and a linear map. Conditions are as those of a {@link dit}, and fresh parameters give 0.
 * @throws RangeError on a configuration that fits no network, and in `apply` on shapes or types that do not fit.
 */
export function mlp(config: MlpConfig): Network<tf.Tensor1D> {
  checkMlp(config);
  const { dimensions, outputs = dimensions, size, depth, ratio } = config;
  const { parts, embed } = embeddings(config);
  const all = {
    ...parts,
    in: linear(dimensions, size, { xavier: true }),
    block: Array.from({ length: depth }, () => mlpBlock(size, { ratio })),
    out: modulatedLinear(size, outputs),
  };
  return module(all, (used, input: Input) => {
    const { z, lambda } = input;
    checkInput(z, [null, dimensions], lambda);
    const condition = embed(used, input);
    const first = used.in(tf.expandDims(z, 1)) as tf.Tensor3D;
    const x = used.block.reduce((x, block) => block({ x, condition }), first);
    return tf.squeeze(used.out({ x, condition }), [1]);
  });
}

/** The parts that embed λ and class, and SiLU of the sum of what they give, [n, size]. */
function embeddings({ classes, nullClass, size, time }: TokensConfig) {
  const condition = classes > 0 ? classCondition(classes, size, { nullClass, std: 0.02 }) : noCondition;
  const parts = { lambda: noiseEmbedding(time, 256, size, { std: 0.02 }), class: condition.module };
  type Parts = Used<typeof parts>;
  const embed = ({ lambda: embedded, class: embedClass }: Parts, { z, lambda, condition: c }: Input): tf.Tensor2D => {
    condition.check?.(c, z.shape[0] as number);
    const { vector } = embedClass({ condition: c, z: z as tf.Tensor4D });
    return ops.silu(vector ? tf.add(embedded(lambda), vector) : embedded(lambda));
  };
  return { parts, embed };
}
