import { readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { explained, makeFolder, piecesOf, replaceFile } from '@logsnr/io/node';
import type { StepReport, TrainingState } from '@logsnr/training';
import { disposeState } from '@logsnr/training';
import { openEvents, type Picture } from './events.js';
import { openMetrics } from './metrics-file.js';

/** Pictures of samples, drawn from the state of every so many steps. Where `draw` throws, that is said once and the run goes on. */
export interface Samples {
  readonly every: number;
  /** Borrows the state. The noise should be the same each time, so that the pictures show the training alone. */
  readonly draw: (state: TrainingState) => Picture | Promise<Picture>;
}

/** What a run writes for people: `metrics.jsonl`, TensorBoard's events, `samples/`. */
export interface Recorder {
  add(report: StepReport): Promise<void>;
  flush(): Promise<void>;
}

const FLUSH_SECONDS = 2;
let starts = 0;

/**
 * A recorder for a run that goes on after `from`. Nothing here is needed to resume, so what cannot be written is a
 * warning, once for each of the three, and is tried again.
 */
export async function openRecorder(options: {
  readonly folder: string;
  readonly every: number;
  readonly samples?: Samples | undefined;
  readonly from: TrainingState | undefined;
  readonly warn: (text: string) => void;
}): Promise<Recorder> {
  const { folder, every, samples, from, warn } = options;
  const first = (from?.step ?? 0) + 1;
  // Nobody else writes these: what an earlier process left unfinished is of no use.
  for (const [at, unfinished] of [
    [folder, /^metrics\.jsonl\..+\.tmp$/],
    [join(folder, 'samples'), /\.tmp$/],
  ] as const)
    for (const name of await readdir(at).catch(() => []))
      if (unfinished.test(name)) await rm(join(at, name), { force: true });
  const metrics = await openMetrics(join(folder, 'metrics.jsonl'), every, from, warn);
  const name = `events.out.tfevents.${Math.floor(Date.now() / 1000)}.${hostname()}.${process.pid}.${starts++}`;
  const events = openEvents(join(folder, name), first);
  const since = windowOf(from, every);
  const told = new Set<string>();
  let flushed = performance.now();
  const trying = async (what: string, work: () => Promise<unknown>) => {
    try {
      await work();
    } catch (error) {
      if (!told.has(what)) warn(`${(error as Error).message} Training goes on, and it is tried again.`);
      told.add(what);
    }
  };
  const flush = async () => {
    flushed = performance.now();
    await trying('metrics', metrics.flush);
    await trying('events', events.flush);
  };
  return {
    async add(report) {
      since.add(report);
      if (report.step % every === 0) {
        const { loss, seconds, images, wait, norm } = since.take();
        const numbers = {
          norm,
          imagesPerSecond: images / seconds,
          waitShare: wait / seconds,
          memory: process.memoryUsage().rss,
          skipped: report.skipped,
          seconds: report.seconds,
        };
        metrics.add({ step: report.step, loss, ...rounded(numbers) });
        events.scalars(report.step, { ...(loss === null ? {} : { loss }), ...numbers });
      }
      if (samples && report.step % samples.every === 0)
        await trying('samples', async () => {
          const picture = await drawn(report, samples);
          events.image(report.step, 'samples', picture);
          await save(join(folder, 'samples', `step-${String(report.step).padStart(8, '0')}.png`), picture.png);
        });
      if (performance.now() - flushed > 1000 * FLUSH_SECONDS) await flush();
    },
    flush,
  };
}

async function drawn(report: StepReport, { draw }: Samples): Promise<Picture> {
  const state = report.snapshot();
  try {
    return await draw(state);
  } finally {
    disposeState(state);
  }
}

async function save(path: string, bytes: Uint8Array): Promise<void> {
  await makeFolder(dirname(path)).catch((error) => {
    throw explained(error, path);
  });
  await replaceFile(path, piecesOf(bytes));
}

/** Sums over the steps since the last line, those before `from` included: the same mean as from the losses alone. */
function windowOf(from: TrainingState | undefined, every: number) {
  const { step = 0, losses = [], skipped = [] } = from ?? {};
  const fresh = () => ({ sum: 0, count: 0, seconds: 0, images: 0, wait: 0, norm: 0 });
  let now = fresh();
  let skips = skipped.length;
  const open = step % every;
  for (let at = step - open + 1; at <= step; at++) {
    const loss = losses[losses.length - 1 - (step - at)];
    if (loss === undefined || skipped.includes(at)) continue;
    now.sum += loss;
    now.count++;
  }
  return {
    add({ loss, imagesPerSecond, images, wait, norm, skipped }: StepReport) {
      if (skipped === skips) {
        now.sum += loss;
        now.count++;
      }
      skips = skipped;
      now.images += images;
      now.seconds += images / imagesPerSecond;
      now.wait += wait;
      now.norm = norm;
    },
    take() {
      const { sum, count, ...rest } = now;
      now = fresh();
      return { loss: count === 0 ? null : sum / count, ...rest };
    },
  };
}

/** Six digits are enough to look at; what is not finite is null in JSON. */
const rounded = (numbers: Readonly<Record<string, number>>): Record<string, number | null> =>
  Object.fromEntries(
    Object.entries(numbers).map(([name, value]) => [
      name,
      Number.isFinite(value) ? Number(value.toPrecision(6)) : null,
    ]),
  );
