import { free } from '@logsnr/core';
import { type LogLikelihood, logits } from '@logsnr/guidance';
import { type NetworkSpec, type NoisyClassifier, networkOf, type Preset, preset } from '@logsnr/networks';
import type { Parameters } from '@logsnr/nn';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { type LoadOptions, loadParameters } from './load.js';

/** A classifier of noised data with its weights, which `dispose` frees. */
export interface LoadedClassifier {
  /** log p(c|z_λ) of labels, int32 [n], which `classifierGuidance` takes. */
  readonly logLikelihood: LogLikelihood<Tensor1D>;
  readonly classes: number;
  /** Its logits are `network.apply(parameters, { z, lambda })`. */
  readonly network: NoisyClassifier;
  readonly spec: NetworkSpec<'noisy-classifier'>;
  readonly parameters: Parameters;
  dispose(): void;
}

/**
 * A published classifier of noised data, by its preset's name or a specification, and a file of its weights (see
 * {@link loadParameters}). It is told λ and knows the time t(λ) itself:
 * `classifierGuidance(model, (await loadClassifier('adm-imagenet64-classifier', path)).logLikelihood, w)`.
 * @throws RangeError on a preset that is unknown or no classifier, and on tensors that do not fit, by their names. DamagedFile
 *   on a file that is not whole.
 */
export async function loadClassifier(
  what: string | Pick<Preset<'noisy-classifier'>, 'network' | 'attentionOrder'>,
  path: string,
  options: LoadOptions = {},
): Promise<LoadedClassifier> {
  const { network: spec, attentionOrder }: Pick<Preset, 'network' | 'attentionOrder'> =
    typeof what === 'string' ? preset(what) : what;
  if (spec.kind !== 'noisy-classifier')
    throw new RangeError(
      `the network is of kind "${spec.kind}", no "noisy-classifier"; load it by loadModel${typeof what === 'string' ? `('${what}', path)` : ''}.`,
    );
  const network = networkOf({ network: spec });
  const parameters = await loadParameters(spec, path, { attentionOrder, ...options });
  return {
    logLikelihood: logits((z, lambda) => network.apply(parameters, { z, lambda })),
    ...{ classes: spec.config.classes, network, spec, parameters },
    dispose: () => free(parameters),
  };
}
