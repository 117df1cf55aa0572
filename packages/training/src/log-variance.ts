import { checkInteger, fold, type Key, normalNumbers, uniforms } from '@logsnr/core';
import { constant, type Network, type Parameters } from '@logsnr/nn';
import {
  add,
  cos,
  matMul,
  mul,
  reshape,
  type Tensor1D,
  type Tensor2D,
  tensor2d,
  tidy,
  zeros,
} from '@tensorflow/tfjs-core';

/** u(λ) of each sample, [n], from the weights and λ [n]. The caller owns it. */
export type LogVariance = (parameters: Parameters, lambda: Tensor1D) => Tensor1D;

const NAME = 'logVariance';

/**
 * A network that also learns u(λ), the logarithm of its loss L at each noise level, for the training loss mean(L/e^u +
 * u) (Karras et al. 2024, arXiv 2312.02696, its learned loss weight; after Kendall et al. 2018, arXiv 1705.07115). At
 * the optimum e^{u(λ)} is the mean loss at λ, so that every noise level pulls at the weights alike, however large its
 * error. u is linear in `channels` random Fourier features √2 cos(2π(f λ/8 + φ)), f ~ N(0, 1) and φ ~ U[0, 1), and
 * starts at 0. (EDM2's features are of c_noise = ln(σ)/4, which is −λ/8.) It is for training alone: sampling ignores it.
 *
 * Enter both in `train`: `network` and `logVariance`.
 */
export function withLogVariance<C>(
  network: Network<C>,
  { channels = 128, key }: { readonly channels?: number; readonly key: Key },
): { readonly network: Network<C>; readonly logVariance: LogVariance } {
  checkInteger('channels', channels, 1);
  if (Object.hasOwn(network.parameters, NAME)) throw new RangeError(`the network has a parameter "${NAME}" already.`);
  const blocks = Math.ceil(channels / 4);
  const f = normalNumbers({ words: fold(key, 0).words, counter: 0, samples: 1, blocks }).subarray(0, channels);
  const frequencies = f.map((value) => (2 * Math.PI * value) / 8);
  const phases = Float32Array.from(uniforms(fold(key, 1), channels), (phi) => 2 * Math.PI * phi);
  return {
    network: {
      parameters: { ...network.parameters, [NAME]: { weight: constant([channels, 1]) } },
      init: (k) => ({ ...network.init(k), [NAME]: { weight: zeros([channels, 1]) } }),
      apply: (parameters, input, context) => network.apply(parameters, input, context),
    },
    logVariance: (parameters, lambda) =>
      tidy(() => {
        const angles = add(matMul(reshape(lambda, [-1, 1]) as Tensor2D, tensor2d(frequencies, [1, channels])), phases);
        const features = mul(cos(angles), Math.SQRT2 / Math.sqrt(channels)) as Tensor2D;
        return reshape(matMul(features, (parameters[NAME] as { weight: Tensor2D }).weight), [-1]) as Tensor1D;
      }),
  };
}
