import type { Attends } from '@logsnr/nn';

/**
 * What is broken in a U-Net to make a weaker one of the same parameters. `autoguidance` of `@logsnr/guidance` guides away
 * from it. `attention: 'identity'` is then perturbed-attention guidance (Ahn et al. 2024, arXiv 2403.17377),
 * `attention: { blur }` is smoothed-energy guidance (Hong 2024, arXiv 2408.00760), and `skip` is skip-layer guidance.
 */
export interface UnetPerturbation {
  /** Whom a token attends to; see `Attends` of `@logsnr/nn`. */
  readonly attention?: Exclude<Attends, 'softmax'> | undefined;
  /** The attention layers concerned, e.g. `middle.attention.0`. Default all of them. */
  readonly at?: readonly string[] | undefined;
  /** Residual blocks and attention layers to leave out, e.g. `up.1.block.0`. What goes around them stays. */
  readonly skip?: readonly string[] | undefined;
}

/** @throws RangeError on a name that the network does not have, a blur that is not above 0, or an unknown attention. */
export function checkPerturbation(
  { attention, at = [], skip = [] }: UnetPerturbation,
  { blocks, layers }: { blocks: readonly string[]; layers: readonly string[] },
): void {
  if (attention !== undefined && attention !== 'identity' && !(attention.blur > 0))
    throw new RangeError(
      `attention is ${JSON.stringify(attention)}; it must be "identity" or { blur } with a deviation above 0.`,
    );
  for (const [what, names, known] of [
    ['at', at, layers],
    ['skip', skip, [...blocks, ...layers]],
  ] as const)
    for (const name of names)
      if (!known.includes(name))
        throw new RangeError(`${what} names "${name}"; the network has ${known.join(', ') || 'none'}.`);
}
