import { checkChoice } from '@logsnr/core';
import { type NetworkSpec, networkOf, type UnetConfig } from '@logsnr/networks';
import { shapesOf } from '@logsnr/nn';
import { diffusersUnet } from './diffusers-unet.js';
import { ditDiffusers, ditOriginal } from './dit.js';
import type { Mappings, Peer } from './find-peer.js';
import { type AttentionOrder, guidedDiffusion } from './guided-diffusion.js';
import { own } from './own.js';

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

function peersOf(network: NetworkSpec, order: AttentionOrder): { shapes: Shapes; mappings: Mappings } {
  const { kind, config } = network;
  const shapes = shapesOf(networkOf({ network }));
  const guided = () => ({ 'guided-diffusion': guidedDiffusion(shapes, config as UnetConfig, order) });
  switch (kind) {
    case 'unet':
      return { shapes, mappings: { ...guided(), diffusers: diffusersUnet(shapes, config) } };
    case 'dit':
      return { shapes, mappings: { dit: ditOriginal(shapes, config), diffusers: ditDiffusers(shapes, config) } };
    case 'noisy-classifier':
      return { shapes, mappings: guided() };
    case 'super-resolution':
      // Of the noise of the low-resolution image the peer knows nothing.
      return { shapes, mappings: config.noise ? {} : guided() };
  }
}

type Shapes = Readonly<Record<string, readonly number[]>>;
