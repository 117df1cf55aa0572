import { checkChoice } from '@logsnr/core';
import {
  type NetworkSpec as DitSpec,
  dit,
  type NoisyClassifierConfig,
  noisyClassifier,
  type UnetConfig,
  unet,
} from '@logsnr/networks';
import { type Module, shapesOf } from '@logsnr/nn';
import { diffusersUnet } from './diffusers-unet.js';
import { ditDiffusers, ditOriginal } from './dit.js';
import type { Mappings, Peer } from './find-peer.js';
import { type AttentionOrder, guidedDiffusion } from './guided-diffusion.js';
import { own } from './own.js';

/** A network as data. */
export type NetworkSpec =
  | DitSpec
  | { readonly kind: 'unet'; readonly config: UnetConfig }
  | { readonly kind: 'noisy-classifier'; readonly config: NoisyClassifierConfig };

/**
 * Where the parameters of a network stand in the files of each peer that has such networks, or of one of them.
 * @throws RangeError where `as` has no such networks.
 */
export function mappingsOf(network: NetworkSpec, order: AttentionOrder = 'legacy', as?: Peer): Mappings {
  const { shapes, mappings: theirs } = peersOf(network, order);
  const mappings: Mappings = { ...theirs, logsnr: own(shapes) };
  if (as === undefined) return mappings;
  checkChoice('as', as, Object.keys(mappings) as Peer[]);
  return { [as]: mappings[as] };
}

type Shapes = Readonly<Record<string, readonly number[]>>;

function peersOf({ kind, config }: NetworkSpec, order: AttentionOrder): { shapes: Shapes; mappings: Mappings } {
  const of = (network: Pick<Module<never, unknown>, 'parameters'>, mappings: (shapes: Shapes) => Mappings) => {
    const shapes = shapesOf(network);
    return { shapes, mappings: mappings(shapes) };
  };
  switch (kind) {
    case 'unet':
      return of(unet(config), (shapes) => ({
        'guided-diffusion': guidedDiffusion(shapes, config, order),
        diffusers: diffusersUnet(shapes, config),
      }));
    case 'dit':
      return of(dit(config), (shapes) => ({
        dit: ditOriginal(shapes, config),
        diffusers: ditDiffusers(shapes, config),
      }));
    case 'noisy-classifier':
      return of(noisyClassifier(config), (shapes) => ({ 'guided-diffusion': guidedDiffusion(shapes, config, order) }));
    default:
      throw new RangeError(
        `the network's kind is "${kind as string}"; it must be "unet", "dit" or "noisy-classifier".`,
      );
  }
}
