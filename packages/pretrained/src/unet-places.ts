import type { UnetConfig } from '@logsnr/networks';
import type { Place } from './mapping.js';

/** A layer of a U-Net by its path: the unit that it is in, and its name there, '' where it is the unit. */
export interface UnetLayer {
  readonly way: 'down' | 'middle' | 'up';
  readonly level: number;
  readonly unit: 'block' | 'attention' | 'downsample' | 'upsample';
  /** Which of the level's units of this kind. */
  readonly at: number;
  readonly layer: string;
}

const PATTERN = /^(?:(down|up)\.(\d+)|middle)\.(block|attention|downsample|upsample)(?:\.(\d+))?(?:\.([a-z]\w*))?$/;

/** Undefined for a layer that is on no way. */
export function unetLayer(path: string): UnetLayer | undefined {
  const match = PATTERN.exec(path);
  if (!match) return undefined;
  const [, way = 'middle', level = 0, unit, at = 0, layer = ''] = match;
  return { way, level: Number(level), unit, at: Number(at), layer } as UnetLayer;
}

/** Attention heads of a layer of so many channels. */
export const headsOf = ({ heads = 1, headChannels }: UnetConfig, channels: number): number =>
  headChannels === undefined ? heads : channels / headChannels;

/** Whether the blocks of a level are followed by attention. */
export const attends = ({ height, attention = [] }: UnetConfig, level: number): boolean =>
  attention.includes(height / 2 ** level);

/** The layers that are on no way, by the names that a peer has for them. */
export const fixedPlaces =
  (names: Readonly<Record<string, string>>) =>
  (path: string): Place | undefined =>
    Object.hasOwn(names, path) ? { name: names[path] as string } : undefined;
