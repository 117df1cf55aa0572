import type { NetworkSpec } from '@logsnr/networks';
import type { Parameters } from '@logsnr/nn';
import { findPeer, type Peer, tensorsUnder } from './find-peer.js';
import type { AttentionOrder } from './guided-diffusion.js';
import { mappingsOf } from './networks.js';
import { withWeights } from './open.js';
import { type LoadProgress, readParameters } from './read.js';

export interface LoadOptions {
  /** Whose names the file has. Found by them unless given. */
  as?: Peer | undefined;
  /** The dict within the file that holds the parameters, such as `ema`, `state_dict` or `module`. Default the file itself. */
  under?: string | undefined;
  /** Default `legacy`, or what the preset's published file has. For guided-diffusion's names alone. */
  attentionOrder?: AttentionOrder | undefined;
  /** Called after each tensor. */
  progress?: ((progress: LoadProgress) => void) | undefined;
}

/**
 * A network's parameters from a checkpoint, which the caller owns: a safetensors file, one of `torch.save`, or a folder of
 * diffusers. Names, shapes and types are checked before any value is read. float16, bfloat16 and float64 become float32. One
 * tensor of the file at a time is in memory, and nothing in the file is run.
 * @throws RangeError that lists the tensors which do not fit the network, by name. DamagedFile on a file that is not whole.
 */
export const loadParameters = (
  network: NetworkSpec,
  path: string,
  { as, under, attentionOrder, progress }: LoadOptions = {},
): Promise<Parameters> =>
  withWeights(path, (opened) => {
    const mappings = mappingsOf(network, attentionOrder, as);
    const { mapping, file } = findPeer(tensorsUnder(opened, under, path), mappings, path);
    return readParameters(file, mapping, path, progress);
  });
