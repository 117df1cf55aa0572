import { piecesOf, readText, replaceFile } from '@logsnr/io/node';
import type { TrainingState } from '@logsnr/training';
import * as v from 'valibot';
import { type Appending, appending } from './appending.js';

const lineSchema = v.pipe(
  v.string(),
  v.parseJson(),
  v.objectWithRest({ step: v.pipe(v.number(), v.safeInteger()), loss: v.nullable(v.number()) }, v.nullable(v.number())),
);

/** A line of `metrics.jsonl`. The loss is the mean over the steps since the line before, skipped ones left out. */
export type MetricsLine = Readonly<v.InferOutput<typeof lineSchema>>;

/**
 * `metrics.jsonl`: a line of JSON every so many steps, each step's line once, however often the run was interrupted.
 */
export interface MetricsFile extends Pick<Appending, 'flush'> {
  add(line: MetricsLine): void;
}

/**
 * Opens the file for a run that goes on after `from`. Lines of later steps go, as those steps are taken again; lines
 * that are missing, cut short or say another loss than the run had are written anew from its losses.
 */
export async function openMetrics(
  path: string,
  every: number,
  from: Pick<TrainingState, 'step' | 'losses' | 'skipped'> | undefined,
  warn: (text: string) => void,
): Promise<MetricsFile> {
  const text = await readText(path);
  const lines = (text ?? '').split('\n').filter((line) => line !== '');
  const found = new Map(lines.map((line) => [parsed(line)?.step, line]));
  const kept: string[] = [];
  let repaired = 0;
  for (let step = every; step <= (from?.step ?? 0); step += every) {
    const loss = from ? lossOf(from, step - every, step) : null;
    const line = found.get(step);
    const right = line !== undefined && parsed(line)?.loss === loss;
    if (!right) repaired++;
    kept.push(right ? line : JSON.stringify({ step, loss }));
  }
  if (repaired > 0)
    warn(
      `${path}: ${repaired} of ${kept.length} lines were missing or changed; they are written anew from the losses.`,
    );
  const whole = kept.map((line) => `${line}\n`).join('');
  if (whole !== text) await replaceFile(path, piecesOf(whole));
  const { add, flush } = appending(path);
  return { add: (line) => add(`${JSON.stringify(line)}\n`), flush };
}

/** The mean loss of the steps (after, to], skipped ones left out; null where all were skipped. */
export function lossOf(
  { step: last, losses = [], skipped = [] }: Pick<TrainingState, 'step' | 'losses' | 'skipped'>,
  after: number,
  to: number,
): number | null {
  const first = last - losses.length;
  const left = new Set(skipped.filter((step) => step > after && step <= to));
  let [sum, count] = [0, 0];
  for (let step = Math.max(after, first) + 1; step <= to; step++) {
    if (left.has(step)) continue;
    sum += losses[step - first - 1] as number;
    count++;
  }
  return count === 0 ? null : sum / count;
}

function parsed(line: string): MetricsLine | undefined {
  const { success, output } = v.safeParse(lineSchema, line);
  return success ? output : undefined;
}
