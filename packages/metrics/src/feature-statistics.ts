import type { GaussianStatistics } from './statistics.js';

/** How features were made. Only features made alike compare. */
export interface FeatureOrigin {
  /** The network's name, such as `inception-2015-12-05`. */
  readonly extractor: string;
  /** The SHA-256 of its weights. */
  readonly sha256: string;
  /** How images got the network's size, such as `tf1-bilinear-299`. */
  readonly resize: string;
}

/** The Gaussian of the features of some data, with what it is of; null stands for what a file does not say. */
export interface FeatureStatistics extends GaussianStatistics {
  /** The number of samples. */
  readonly count: number | null;
  readonly origin: FeatureOrigin | null;
  /** The data's name, such as `CIFAR-10`, and its part, such as `test`. */
  readonly data: string | null;
  readonly split: string | null;
}

/**
 * Throws unless the Fréchet distance of two statistics means something: both must be of the same features, made by the same
 * weights from images resized alike. What they are of may differ; that is what is compared.
 * @param assume the extractor that statistics of unknown origin are taken to be of, such as those of other projects' files.
 * @throws RangeError with what differs.
 */
export function checkComparable(a: FeatureStatistics, b: FeatureStatistics, assume?: string): void {
  const [d, e] = [a.mean.length, b.mean.length];
  if (d !== e) throw new RangeError(`${nameOf(a)} have ${d} features and ${nameOf(b)} ${e}; they do not compare.`);
  for (const one of [a, b])
    if (!one.origin && assume === undefined)
      throw new RangeError(
        `${nameOf(one)} do not say which network its features are of. If you know, name it: assume: 'inception-2015-12-05'.`,
      );
  const [first, second]: Partial<FeatureOrigin>[] = [a, b].map(({ origin }) => origin ?? { extractor: assume ?? '' });
  const parts = [
    ['the feature network', first?.extractor, second?.extractor],
    ["the hash of the network's weights", first?.sha256, second?.sha256],
    ['the way in which images were resized', first?.resize, second?.resize],
  ] as const;
  for (const [what, one, other] of parts)
    if (one !== undefined && other !== undefined && one !== other)
      throw new RangeError(
        `${nameOf(a)} and ${nameOf(b)} do not compare: ${what} is ${one} for the first and ${other} for the second. Make both by the same.`,
      );
}

const nameOf = ({ data, split, count }: FeatureStatistics): string =>
  `the statistics of ${[data ?? 'unnamed data', split].filter(Boolean).join(' ')}${count === null ? '' : ` (n = ${count})`}`;
