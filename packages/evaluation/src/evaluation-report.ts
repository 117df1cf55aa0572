import { captionedGrid, imageGrid } from '@logsnr/figures';
import { type Evaluation, METRICS, type Metric } from './evaluate.js';
import { type ImageSource, nameOf, readBytes } from './image-source.js';

/** FID and its like are named for Inception's features; in another network's they are called by what they compute. */
const ELSEWHERE: Partial<Record<Metric, string>> = {
  fid: 'Fréchet distance',
  fidInfinity: 'the same, n → ∞',
  kid: 'MMD²',
};
const labelOf = (metric: Metric, { extractor }: Evaluation): string =>
  (extractor.extractor.startsWith('inception') ? undefined : ELSEWHERE[metric]) ?? LABELS[metric];

const LABELS: Readonly<Record<Metric, string>> = {
  fid: 'FID',
  fidInfinity: 'FID∞',
  kid: 'KID',
  precision: 'precision',
  recall: 'recall',
  density: 'density',
  coverage: 'coverage',
  is: 'Inception Score',
  vendi: 'Vendi Score',
};

/** An evaluation as lines for a terminal, one a metric. */
export function evaluationText(evaluation: Evaluation): string {
  const { n, nReference, data, reference, extractor, notes, kidInterval, isStd, classifier } = evaluation;
  const more: Partial<Record<Metric, string>> = {
    ...(kidInterval ? { kid: `95 % within ${kidInterval.map((end) => end.toFixed(6)).join(' … ')}` } : {}),
    ...(isStd !== undefined ? { is: `± ${isStd.toFixed(3)}, by ${classifier}` } : {}),
  };
  const called = ({ data, split }: { data: string | null; split: string | null }) =>
    nameOf({ data: data ?? 'unnamed data', split });
  return [
    `${called(data)} (n = ${n}) against ${called(reference)} (n = ${nReference ?? 'unknown'})`,
    `in features of ${extractor.extractor} (${extractor.sha256.slice(0, 16)}), ${extractor.resize}`,
    ...rowsOf(evaluation).map(([metric, value]) =>
      `${labelOf(metric, evaluation).padEnd(16)} ${digits(value).padStart(12)}  ${more[metric] ?? ''}`.trimEnd(),
    ),
    ...notes,
  ].join('\n');
}

const rowsOf = (evaluation: Evaluation): [Metric, number][] =>
  METRICS.flatMap((metric) => {
    const value = evaluation[metric];
    return value === undefined ? [] : [[metric, value]];
  });

const digits = (value: number): string => (Math.abs(value) < 0.1 ? value.toFixed(6) : value.toFixed(4));

/** The first images of both sides with the scores, as a PNG. */
export async function evaluationPicture(
  evaluation: Evaluation,
  data: ImageSource,
  reference?: ImageSource,
): Promise<Uint8Array> {
  const scores = rowsOf(evaluation).map(([metric, value]) => `${labelOf(metric, evaluation)} ${digits(value)}`);
  const images = async (source: ImageSource) => {
    const { height, width, channels } = source;
    const shown = Math.min(source.count, SHOWN);
    const bytes = await firstOf(source, shown);
    const unit = Float32Array.from(bytes, (byte) => byte / 127.5 - 1);
    return imageGrid({ data: unit, shape: [shown, height, width, channels] }, { columns: 15 });
  };
  const row = async (source: ImageSource, more: readonly string[] = []) => ({
    caption: [nameOf(source), `n = ${source.count}`, ...more].join('\n'),
    images: [await images(source)],
  });
  return captionedGrid({
    rows: [await row(data, scores), ...(reference ? [await row(reference)] : [])],
    scale: Math.max(1, Math.round(64 / Math.max(data.height, data.width))),
  });
}

const SHOWN = 60;

class Enough extends Error {}

/** The first images of a source; the rest is not asked for. */
async function firstOf(source: ImageSource, count: number): Promise<Uint8Array> {
  let found = new Uint8Array(0);
  await readBytes(source, 0, count, async (bytes) => {
    found = new Uint8Array(bytes);
    throw new Enough();
  }).catch((error: unknown) => {
    if (!(error instanceof Enough)) throw error;
  });
  return found;
}
