import { type ParameterSpec, type ParameterSpecs, vector, weight } from './parameters.js';
import type { UnetConfig } from './unet-config.js';
import type { Step } from './unet-plan.js';

/** Every parameter of a U-Net, in the order of its walk. */
export function unetParameters(config: UnetConfig, steps: readonly Step[]): ParameterSpecs {
  const { base, multipliers, channels, classes, embedding = 4 * base } = config;
  const first = base * (multipliers[0] as number);
  return {
    ...lambdaParameters(base, embedding),
    // One row more than classes: the last is the null token's.
    ...(classes > 0 ? { 'class.table': { shape: [classes + 1, embedding], init: { std: 1 } } } : {}),
    ...Object.assign({}, ...steps.map((step) => stepParameters(step, embedding))),
    ...norm('out.norm', first),
    ...convolution('out', first, channels, true),
  };
}

/** The parameters of the embedding of λ. */
export const lambdaParameters = (base: number, embedding: number): ParameterSpecs => ({
  ...linear('lambda.linear1', base, embedding),
  ...linear('lambda.linear2', embedding, embedding),
});

export function stepParameters(step: Step, embedding: number): Record<string, ParameterSpec> {
  switch (step.kind) {
    case 'convolution':
      return convolution(step.name, step.from, step.to);
    case 'upsample':
      return convolution(step.name, step.channels, step.channels);
    case 'residual': {
      const { name, from, to } = step;
      return {
        ...norm(`${name}.norm1`, from),
        ...convolution(`${name}.conv1`, from, to),
        ...linear(`${name}.film`, embedding, 2 * to),
        ...norm(`${name}.norm2`, to),
        ...convolution(`${name}.conv2`, to, to, true),
        ...(from === to ? {} : { [`${name}.skip.kernel`]: weight([from, to]) }),
      };
    }
    case 'attention':
      return {
        ...norm(`${step.name}.norm`, step.channels),
        ...linear(`${step.name}.qkv`, step.channels, 3 * step.channels),
        ...linear(`${step.name}.out`, step.channels, step.channels, true),
      };
    default:
      return {};
  }
}

export const norm = (name: string, channels: number): Record<string, ParameterSpec> => ({
  [`${name}.gamma`]: vector(channels, 1),
  [`${name}.beta`]: vector(channels),
});

export const linear = (name: string, from: number, to: number, zero = false): Record<string, ParameterSpec> => ({
  [`${name}.kernel`]: weight([from, to], zero),
  [`${name}.bias`]: vector(to),
});

export const convolution = (name: string, from: number, to: number, zero = false): Record<string, ParameterSpec> => ({
  [`${name}.kernel`]: weight([3, 3, from, to], zero),
  [`${name}.bias`]: vector(to),
});
