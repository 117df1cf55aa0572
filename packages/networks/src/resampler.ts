import {
  type ConvLayerOptions,
  conv,
  type Module,
  module,
  ops,
  type ParameterSpec,
  type ResidualInput,
} from '@logsnr/nn';
import type { Tensor4D } from '@tensorflow/tfjs-core';
import type { Resample } from './unet-config.js';

/** What halves or doubles height and width, and looks at no embedding. */
export function resampler(
  channels: number,
  { way, by }: { way: 'down' | 'up'; by: Exclude<Resample, 'residual'> },
): Module<Pick<ResidualInput, 'x'>, Tensor4D> {
  if (way === 'up') return convolution(channels, {}, ops.upsample);
  if (by === 'pool') return module({}, (_, { x }: { x: Tensor4D }) => ops.downsample(x));
  const below = [0, 1] as const;
  return convolution(channels, { stride: 2, padding: by === 'conv' ? 1 : [below, below] }, (x) => x);
}

/** A convolution of what `first` makes of x, whose parameters are this module's own. */
function convolution(channels: number, options: ConvLayerOptions, first: (x: Tensor4D) => Tensor4D) {
  const layer = conv(channels, channels, options);
  const own = layer.parameters as Record<'kernel' | 'bias', ParameterSpec>;
  return module(own, ({ kernel, bias }, { x }: { x: Tensor4D }, context) =>
    layer.apply({ kernel, bias }, first(x), context),
  );
}
