import { type Conditioning, checkInteger, free, type Labels, labels, type Model, type Prediction } from '@logsnr/core';
import {
  bind,
  type KindOf,
  type NetworkKind,
  type NetworkOf,
  type NetworkSpec,
  networkOf,
  type Preset,
  preset,
  presetNames,
  type SuperResolutionCondition,
  superResolutionConditioning,
  timesOf,
} from '@logsnr/networks';
import type { Network, Parameters } from '@logsnr/nn';
import type { DiscreteTimes } from '@logsnr/schedules';
import type { Tensor1D } from '@tensorflow/tfjs-core';
import { type DiffusersOptions, readDiffusers } from './diffusers-config.js';
import { type LoadOptions, loadParameters } from './load.js';
import { isThere } from './open.js';

/** The kinds of network that are models. */
export type ModelKind = Exclude<NetworkKind, 'noisy-classifier'>;

/** A network and what its output is of; a `Preset` is one. */
export type ModelSpec<Kind extends ModelKind = ModelKind> = Pick<
  Preset<Kind>,
  'network' | 'prediction' | 'variance' | 'attentionOrder'
>;

/** What conditions a model of a kind: labels, int32 [n], or for super-resolution the image too. */
export type ConditionOf<Kind extends ModelKind> = Kind extends 'super-resolution' ? SuperResolutionCondition : Tensor1D;

/** A model with its weights, which `dispose` frees. */
export interface LoadedModel<Kind extends ModelKind = ModelKind> {
  /** What samplers and guidance take. */
  readonly model: Model<ConditionOf<Kind>>;
  /**
   * Its conditions, and what ∅ is. A model without ∅ has a conditioning whose `nullCondition` and `drop` throw: `classifierFree`
   * has no meaning for it; `classifierGuidance`, `autoguidance`, `independentCondition` and `timeStepGuidance` do without.
   */
  readonly conditioning: Kind extends 'super-resolution' ? Conditioning<SuperResolutionCondition> : Labels;
  /** Height, width and channels of z. */
  readonly image: readonly [height: number, width: number, channels: number];
  /** The λ of its times, whose `schedule` and `respaced` give its own grids. Undefined where it was trained on λ. */
  readonly times: DiscreteTimes | undefined;
  readonly network: NetworkOf<Kind>;
  readonly spec: NetworkSpec<Kind>;
  /** What the network's output is of. */
  readonly prediction: Prediction;
  readonly variance: 'range' | undefined;
  readonly parameters: Parameters;
  dispose(): void;
}

export interface LoadModelOptions extends LoadOptions {
  /** The label that stands for ∅, of a network whose configuration does not say. Null for none. */
  nullLabel?: number | null | undefined;
}

export interface LoadFolderOptions extends LoadModelOptions, DiffusersOptions {}

/**
 * A model of a published checkpoint, in one call. It is told λ and knows the time t(λ) itself, so any sampler, grid and guidance
 * may be used. Between its own times it is asked at fractions of t.
 *
 * The first form takes a preset's name, or a specification, and a file of its weights (see {@link loadParameters}). The second takes a folder of diffusers, whose
 * `config.json` and `scheduler_config.json` say all the rest but what ∅ is: `{ nullLabel: 10 }` where the label 10 was.
 * @throws RangeError on an unknown preset, on a configuration with a value that is not supported, by its name, and on tensors
 *   that do not fit, by theirs. DamagedFile on a file that is not whole.
 */
export function loadModel<const Name extends string>(
  preset: Name,
  path: string,
  options?: LoadModelOptions,
): Promise<LoadedModel<Exclude<KindOf<Name>, 'noisy-classifier'>>>;
export function loadModel<Kind extends ModelKind>(
  spec: ModelSpec<Kind>,
  path: string,
  options?: LoadModelOptions,
): Promise<LoadedModel<Kind>>;
export function loadModel(folder: string, options?: LoadFolderOptions): Promise<LoadedModel<'unet' | 'dit'>>;
export async function loadModel(
  what: string | ModelSpec,
  path?: string | LoadFolderOptions,
  options: LoadModelOptions = {},
): Promise<LoadedModel> {
  if (typeof path === 'string') return loaded(typeof what === 'string' ? modelPreset(what) : what, path, options);
  if (typeof what !== 'string')
    throw new TypeError('there is no path; give the file of the weights: loadModel(spec, path).');
  if (presetNames.includes(what) && !(await isThere(what)))
    throw new RangeError(`"${what}" is a preset; give the file of its weights too: loadModel('${what}', path).`);
  const { folder, ...spec } = await readDiffusers(what, path);
  return loaded(spec, folder, { as: 'diffusers', ...path });
}

function modelPreset(name: string): ModelSpec {
  const { network, ...rest }: Preset = preset(name);
  if (network.kind === 'noisy-classifier')
    throw new RangeError(`"${name}" is a classifier; load it by loadClassifier('${name}', path).`);
  return { network, ...rest };
}

async function loaded(spec: ModelSpec, path: string, options: LoadModelOptions): Promise<LoadedModel> {
  const { nullLabel, ...load } = options;
  const { network: given, prediction, variance, attentionOrder } = spec;
  const { classes, conditioning } = labelsOf(given.config, nullLabel, path);
  const { height, width, channels, time } = given.config;
  const named = { ...given, config: { ...given.config, ...classes } } as NetworkSpec<ModelKind>;
  const network = networkOf({ network: named }) as Network<unknown>;
  const parameters = await loadParameters(named, path, { attentionOrder, ...load });
  return {
    model: bind(network, parameters, { prediction: prediction as Prediction, variance }),
    conditioning:
      named.kind === 'super-resolution'
        ? superResolutionConditioning(named.config.classes > 0 ? conditioning : undefined)
        : conditioning,
    image: [height, width, channels],
    times: time && timesOf(time),
    ...{ network, spec: named, prediction, variance, parameters },
    dispose: () => free(parameters),
  } as LoadedModel;
}

interface Classes {
  readonly classes: number;
  readonly nullClass?: boolean | undefined;
}

/**
 * The labels of a network, and its classes again: where ∅ is its last row, that is no class. A network without classes has one
 * label and no ∅.
 */
function labelsOf(
  { classes, nullClass = true }: Classes,
  nullLabel: number | null | undefined,
  what: string,
): { classes: Classes; conditioning: Labels } {
  if (classes === 0) {
    if (nullLabel !== undefined && nullLabel !== null)
      throw new RangeError(`nullLabel is ${nullLabel}, but the network in ${what} has no classes; leave it out.`);
    return { classes: { classes }, conditioning: labels(1, { nullLabel: null }) };
  }
  const rows = nullClass ? classes + 1 : classes;
  const none = nullLabel === undefined ? (nullClass ? classes : null) : nullLabel;
  if (none !== null) checkInteger(`nullLabel, for ${what},`, none, 0, rows - 1);
  const last = none === rows - 1 && rows > 1;
  return {
    classes: { classes: last ? rows - 1 : rows, nullClass: last },
    conditioning: labels(last ? rows - 1 : rows, { nullLabel: none }),
  };
}
