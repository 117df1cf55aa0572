import { PHILOX_NORMAL, type PhiloxNormalAttrs } from '@logsnr/core';
import * as nn from '@logsnr/nn';
import type { TensorInfo } from '@tensorflow/tfjs-core';
import { forAll, like, type Made, type Named, product, type Rule, type Rules, shaped } from './rule.js';

const groupNorm: Rule<Named<'x'>, nn.GroupNormAttrs> = ({ x }, { groups }) => {
  const ofGroups = shaped(x, [x.shape[0] as number, groups]);
  return { output: [like(x), ofGroups, ofGroups] };
};

const inputs = ['x', 'gamma', 'beta', 'bias', 'scale', 'shift'];
const groupNormGradient: Rule = (given) => ({ output: inputs.map((name) => like(given[name] as TensorInfo)) });

/** The products of a convolution or a linear map of `pixels` pixels or rows, a weight [..., c, o]. */
const cost = (pixels: readonly number[], weight: readonly number[]): number =>
  product(pixels.slice(0, -1)) * product(weight);

const map = (x: TensorInfo, weight: TensorInfo): Made => ({
  output: shaped(x, x.shape.with(-1, weight.shape.at(-1) as number)),
  multiplyAdds: cost(x.shape, weight.shape),
});
const mapBack = (dy: TensorInfo, weight: TensorInfo): Made => ({
  output: shaped(dy, dy.shape.with(-1, weight.shape.at(-2) as number)),
  multiplyAdds: cost(dy.shape, weight.shape),
});
const byWeight =
  (window: readonly number[]): Rule<Named<'x' | 'dy'>> =>
  ({ x, dy }) => {
    const shape = [...window, x.shape.at(-1) as number, dy.shape.at(-1) as number];
    return { output: shaped(x, shape), multiplyAdds: cost(dy.shape, shape) };
  };

/** Q Kᵀ and its product with V: t² d each, for each sample and head. */
const scores = ([n = 0, t = 0, channels = 0]: readonly number[]): number => (2 * n * t * t * channels) / 3;

const uniform: Rule<object, Pick<PhiloxNormalAttrs, 'samples' | 'blocks'>> = (_, { samples, blocks }) => ({
  output: { shape: [samples, 4 * blocks], dtype: 'float32' },
});

const adam: Rule<Named<'p'>> = ({ p }) => ({ output: [like(p), like(p), like(p)] });

/** This project's own kernels. A 3×3 convolution counts as a direct one. */
export const ownRules: Rules = {
  [nn.GROUP_NORM]: groupNorm,
  [nn.GROUP_NORM_GRADIENT]: groupNormGradient,
  [nn.CONV_3X3]: (({ x, kernel }) => map(x, kernel)) satisfies Rule<Named<'x' | 'kernel'>>,
  [nn.CONV_3X3_INPUT_GRADIENT]: (({ dy, kernel }) => mapBack(dy, kernel)) satisfies Rule<Named<'dy' | 'kernel'>>,
  [nn.CONV_3X3_FILTER_GRADIENT]: byWeight([3, 3]),
  [nn.LINEAR]: (({ x, weight }) => map(x, weight)) satisfies Rule<Named<'x' | 'weight'>>,
  [nn.LINEAR_INPUT_GRADIENT]: (({ dy, weight }) => mapBack(dy, weight)) satisfies Rule<Named<'dy' | 'weight'>>,
  [nn.LINEAR_WEIGHT_GRADIENT]: byWeight([]),
  [nn.ATTENTION]: (({ qkv }) => ({
    output: shaped(qkv, qkv.shape.with(-1, (qkv.shape.at(-1) as number) / 3)),
    multiplyAdds: scores(qkv.shape),
  })) satisfies Rule<Named<'qkv'>>,
  [nn.ATTENTION_GRADIENT]: (({ qkv }) => ({
    output: like(qkv),
    // The scores again, and two products for each of the two.
    multiplyAdds: 2.5 * scores(qkv.shape),
  })) satisfies Rule<Named<'qkv'>>,
  [nn.ADAM]: adam,
  ...forAll([PHILOX_NORMAL, nn.PHILOX_UNIFORM], uniform),
};
