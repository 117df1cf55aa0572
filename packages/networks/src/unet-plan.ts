import type { Level } from './unet-config.js';

/** One step of a U-Net's walk. `name` is where its parameters lie; `from` and `to` are its channels. */
export type Step =
  | { kind: 'convolution'; name: string; from: number; to: number }
  | { kind: 'residual'; name: string; from: number; to: number }
  | { kind: 'attention'; name: string; channels: number; heads: number }
  | { kind: 'downsample' }
  | { kind: 'upsample'; name: string; channels: number }
  /** Keeps the features for the way up; `join` takes the newest kept ones back and appends their channels. */
  | { kind: 'keep' }
  | { kind: 'join' };

/**
 * The walk of a U-Net (Ronneberger et al. 2015, arXiv 1505.04597) as Ho et al. 2020 (arXiv 2006.11239) and ADM use it:
 * the input and what each block and each downsampling gives is kept, and each block on the way up takes one of them.
 */
export function unetPlan(levels: readonly Level[], blocks: number, inputs: number): Step[] {
  const steps: Step[] = [];
  const kept: number[] = [];
  let channels = (levels[0] as Level).channels;
  const keep = () => {
    steps.push({ kind: 'keep' });
    kept.push(channels);
  };
  const block = (name: string, at: string, { channels: to, heads }: Level, joined = 0) => {
    steps.push({ kind: 'residual', name: `${name}.block.${at}`, from: channels + joined, to });
    if (heads > 0) steps.push({ kind: 'attention', name: `${name}.attention.${at}`, channels: to, heads });
    channels = to;
  };

  steps.push({ kind: 'convolution', name: 'in', from: inputs, to: channels });
  keep();
  levels.forEach((level, i) => {
    for (let at = 0; at < blocks; at++) {
      block(`down.${i}`, String(at), level);
      keep();
    }
    if (i < levels.length - 1) {
      steps.push({ kind: 'downsample' });
      keep();
    }
  });

  const last = levels[levels.length - 1] as Level;
  block('middle', '0', last);
  block('middle', '1', { ...last, heads: 0 });

  for (let i = levels.length - 1; i >= 0; i--) {
    for (let at = 0; at <= blocks; at++) {
      steps.push({ kind: 'join' });
      block(`up.${i}`, String(at), levels[i] as Level, kept.pop());
    }
    if (i > 0) steps.push({ kind: 'upsample', name: `up.${i}.upsample`, channels });
  }
  return steps;
}
