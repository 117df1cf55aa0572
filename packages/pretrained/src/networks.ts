import { checkChoice } from '@logsnr/core';
import { type UnetConfig, unet } from '@logsnr/networks';
import { shapesOf } from '@logsnr/nn';
import { diffusersUnet } from './diffusers-unet.js';
import type { Mappings, Peer } from './find-peer.js';
import { type AttentionOrder, guidedDiffusion } from './guided-diffusion.js';
import { own } from './own.js';

/** A network as data. */
export type NetworkSpec = { readonly kind: 'unet'; readonly config: UnetConfig };

/**
 * Where the parameters of a network stand in the files of each peer that has such networks, or of one of them.
 * @throws RangeError where `as` has no such networks.
 */
export function mappingsOf({ config }: NetworkSpec, order: AttentionOrder = 'legacy', as?: Peer): Mappings {
  const shapes = shapesOf(unet(config));
  const mappings: Mappings = {
    'guided-diffusion': guidedDiffusion(shapes, config, order),
    diffusers: diffusersUnet(shapes, config),
    logsnr: own(shapes),
  };
  if (as === undefined) return mappings;
  checkChoice('as', as, Object.keys(mappings) as Peer[]);
  return { [as]: mappings[as] };
}
