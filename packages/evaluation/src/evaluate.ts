import { checkChoice, checkInteger, type Key, type LinearAlgebra } from '@logsnr/core';
import {
  checkComparable,
  type FeatureOrigin,
  type FeatureStatistics,
  frechetDistance,
  frechetInfinity,
  type InceptionScorer,
  inceptionScorer,
  kid,
  type Manifold,
  type Matrix,
  manifold,
  vendiScore,
} from '@logsnr/metrics';
import { dispose, type Rank, zeros } from '@tensorflow/tfjs-core';
import type { Extractor, Found } from './extractor.js';
import { checkSource, type FeatureOptions, type Features, featuresOf, hashOfImages } from './features.js';
import { type ImageSource, nameOf } from './image-source.js';

/** What can be measured, by the names of the fields of an {@link Evaluation}. */
export const METRICS = [
  'fid',
  'fidInfinity',
  'kid',
  'precision',
  'recall',
  'density',
  'coverage',
  'is',
  'vendi',
] as const;

export type Metric = (typeof METRICS)[number];

/** Those that need the features of each image, on both sides. */
const OF_BOTH: readonly Metric[] = ['kid', 'precision', 'recall', 'density', 'coverage'];
/** Those that need the features of each image of the data. The others are summed up as images come. */
const OF_EACH: readonly Metric[] = [...OF_BOTH, 'fidInfinity', 'vendi'];

export interface EvaluateOptions {
  /** The images to be judged. */
  readonly data: ImageSource;
  /** What they are compared with: images, or statistics of a file, which serve for `fid` and `fidInfinity`. */
  readonly reference: ImageSource | FeatureStatistics;
  readonly extractor: Extractor;
  /** `fid` alone unless given. */
  readonly metrics?: readonly Metric[] | undefined;
  /** Images at once in the network; 32 unless given. It changes no result beyond rounding. */
  readonly batch?: number | undefined;
  /** A folder for features, some 1,000 images a file: an evaluation that was stopped goes on from there. */
  readonly folder?: string | undefined;
  /** Does the mathematics of large matrices: `linearAlgebra()` of `@logsnr/tensorflow`. In JavaScript unless given. */
  readonly algebra?: LinearAlgebra | undefined;
  /** Of KID's subsets and FID∞'s order. */
  readonly key?: Key | undefined;
  /** Parts of the Inception Score; 10 unless given. */
  readonly splits?: number | undefined;
  /** The extractor that statistics are taken to be of whose file does not say it. */
  readonly assume?: string | undefined;
  readonly onProgress?: ((progress: EvaluateProgress) => void) | undefined;
}

/** How far an evaluation is. */
export interface EvaluateProgress {
  /** What is under way, such as `features of CIFAR-10 test_batch`. */
  readonly what: string;
  readonly done: number;
  readonly images: number;
}

/** What an evaluation found: a field for each metric that was asked for, and what it is of. */
export interface Evaluation extends Partial<Record<Metric, number>> {
  /** Images of the data, and of the reference where that is known. */
  readonly n: number;
  readonly nReference: number | null;
  /** The network in whose features it compares, its hash and the way in which images are resized. */
  readonly extractor: FeatureOrigin;
  /** What was judged and compared with, with the SHA-256 of all its bytes where it is known. */
  readonly data: Judged;
  readonly reference: Judged;
  readonly kidInterval?: readonly [number, number];
  readonly kidStd?: number;
  readonly isStd?: number;
  /** Whose class probabilities the Inception Score is of. */
  readonly classifier?: string;
  /** How well FID∞'s line fits, R². */
  readonly fidInfinityFit?: number;
  /** What to mind when it is read. */
  readonly notes: readonly string[];
  readonly seconds: number;
}

/** Some images by their name. */
export interface Judged {
  readonly data: string | null;
  readonly split: string | null;
  readonly sha256: string | null;
}

/**
 * Judges images against a reference. Stored images are read through and checked first; then come the features, with bounded
 * memory where only statistics are needed, and last the metrics.
 * @returns the evaluation, and the statistics of the data, which a file may keep.
 * @throws Error before any work where something cannot be judged or does not compare.
 */
export async function evaluate(
  options: EvaluateOptions,
): Promise<{ evaluation: Evaluation; statistics: FeatureStatistics; referenceStatistics: FeatureStatistics }> {
  const { data, reference, extractor, metrics = ['fid'], batch, folder, algebra, onProgress } = options;
  const start = performance.now();
  checkAsked(options);
  if (!isSource(reference)) await checkWidth(reference, data, extractor, batch);
  const read = async (source: ImageSource): Promise<string | null> => {
    onProgress?.({ what: `reading ${nameOf(source)}`, done: 0, images: source.count });
    return source.stored ? await hashOfImages(source) : null;
  };
  const hashes = [await read(data), isSource(reference) ? await read(reference) : null] as const;
  const features = (source: ImageSource, sha256: string | null, more: FeatureOptions): Promise<Features> => {
    const what = `features of ${nameOf(source)}`;
    const told = (done: number, images: number) => onProgress?.({ what, done, images });
    return featuresOf(source, extractor, sha256, { batch, folder, algebra, onProgress: told, ...more });
  };
  const need = (of: readonly Metric[]) => metrics.some((metric) => of.includes(metric));
  const theirs = isSource(reference) ? await features(reference, hashes[1], { keep: need(OF_BOTH) }) : undefined;
  const { splits = Math.min(10, data.count) } = options;
  const scorer = need(['is']) ? inceptionScorer(data.count, { splits }) : undefined;
  const own = await features(data, hashes[0], {
    keep: need(OF_EACH),
    onProbabilities: (given) => scorer?.add({ ...given, classifier: extractor.classifier as string }),
  });
  const statistics = theirs?.statistics ?? (reference as FeatureStatistics);
  onProgress?.({ what: 'metrics', done: 0, images: data.count });
  const found = scores(options, own, statistics, theirs?.features ?? null, scorer);
  const { origin } = own.statistics;
  const evaluation: Evaluation = {
    ...found,
    n: data.count,
    nReference: statistics.count,
    extractor: origin as FeatureOrigin,
    data: { data: data.data, split: data.split, sha256: own.sha256 },
    reference: { data: statistics.data, split: statistics.split, sha256: theirs?.sha256 ?? null },
    notes: notesOn(metrics, own.statistics, statistics),
    seconds: (performance.now() - start) / 1000,
  };
  return { evaluation, statistics: own.statistics, referenceStatistics: statistics };
}

const isSource = (reference: ImageSource | FeatureStatistics): reference is ImageSource => 'read' in reference;

function checkAsked({ data, reference, extractor, metrics = ['fid'], splits, assume, batch }: EvaluateOptions): void {
  checkInteger('the number of metrics', metrics.length, 1);
  if (batch !== undefined) checkInteger('batch', batch, 1);
  if (splits !== undefined) checkInteger('splits', splits, 1, data.count);
  for (const metric of metrics) checkChoice('metric', metric, METRICS);
  checkSource(data, extractor);
  if (metrics.includes('is') && extractor.classifier === null)
    throw new RangeError(
      `the Inception Score needs class probabilities, which these weights of ${extractor.extractor} have not. Give weights with the classifier's map, such as pytorch-fid's pt_inception-2015-12-05-6726825d.pth, or leave "is" out.`,
    );
  if (isSource(reference)) {
    checkSource(reference, extractor);
    return;
  }
  const needs = metrics.filter((metric) => OF_BOTH.includes(metric));
  if (needs.length > 0)
    throw new RangeError(
      `${needs.join(', ')} need the features of each image of the reference; statistics serve for fid and fidInfinity. Give its images.`,
    );
  const { extractor: name, sha256, resize } = extractor;
  const own = {
    ...reference,
    origin: { extractor: name, sha256, resize },
    data: data.data,
    split: data.split,
    count: data.count,
  };
  checkComparable(own, reference, assume);
}

/** Statistics that do not say their network may have another number of features; a batch of grey tells the extractor's. */
async function checkWidth(
  { mean }: FeatureStatistics,
  { height, width, channels }: ImageSource,
  extractor: Extractor,
  batch = 32,
): Promise<void> {
  const grey = zeros<Rank.R4>([batch, height, width, channels]);
  let found: Found;
  try {
    found = await extractor.read(grey);
  } finally {
    grey.dispose();
  }
  const own = found.features.shape[1];
  dispose(Object.values(found).filter((tensor) => tensor !== null));
  if (own !== mean.length)
    throw new RangeError(
      `the reference's statistics are of ${mean.length} features and ${extractor.extractor} gives ${own}; they are of another network.`,
    );
}

function scores(
  { metrics = ['fid'], algebra, key }: EvaluateOptions,
  own: Features,
  reference: FeatureStatistics,
  theirs: Matrix | null,
  scorer: InceptionScorer | undefined,
): Partial<Evaluation> {
  const [features, asked] = [own.features as Matrix, new Set<Metric>(metrics)];
  const found: { -readonly [K in keyof Evaluation]?: Evaluation[K] } = {};
  if (asked.has('fid')) found.fid = frechetDistance(own.statistics, reference, algebra);
  if (asked.has('fidInfinity')) {
    const { distance, fit } = frechetInfinity(features, reference, { key, algebra });
    Object.assign(found, { fidInfinity: distance, fidInfinityFit: fit });
  }
  if (asked.has('kid')) {
    const { mean, interval, std } = kid(features, theirs as Matrix, { key, algebra });
    Object.assign(found, { kid: mean, kidInterval: interval, kidStd: std });
  }
  const shares = (['precision', 'recall', 'density', 'coverage'] as const).filter((metric) => asked.has(metric));
  if (shares.length > 0) {
    const all: Manifold = manifold(theirs as Matrix, features, { algebra });
    for (const metric of shares) found[metric] = all[metric];
  }
  if (scorer) {
    const { mean, std, classifier } = scorer.score();
    Object.assign(found, { is: mean, isStd: std, classifier });
  }
  if (asked.has('vendi')) found.vendi = vendiScore(features, { algebra });
  return found;
}

/** What whoever reads the numbers should know. */
function notesOn(metrics: readonly Metric[], own: FeatureStatistics, reference: FeatureStatistics): string[] {
  const d = own.mean.length;
  const few = [own, reference].some(({ count }) => count !== null && count <= d);
  const unequal = reference.count !== null && reference.count !== own.count;
  const shares = metrics.some((metric) => OF_BOTH.slice(1).includes(metric));
  return [
    ...(few && metrics.includes('fid')
      ? [
          `There are no more images than features (${d}), so a covariance is singular and FID far above that of many images.`,
        ]
      : []),
    ...(unequal && shares
      ? ['Precision, recall, density and coverage change with the number of images; the two sides have different ones.']
      : []),
    ...(reference.origin === null
      ? ['The reference does not say which network its features are of; it was assumed.']
      : []),
  ];
}
