import { type Job, precisionOf, type Variant } from './cases.js';
import type { Peaks } from './peak.js';
import { largestDifference, type Row, summary } from './statistics.js';
import { startWorker, type Worker } from './worker-process.js';

interface Racer {
  variant: Variant;
  worker: Worker;
  times: number[];
  outside: number[];
  firstMs: number;
}

export interface CellOptions {
  network: string;
  job: Job;
  variants: readonly Variant[];
  torch?: string | undefined;
  rounds: number;
  /** What a call may take, and what the first call may take beyond it to capture or generate code. */
  limitMs: number;
  graceMs: number;
  /** When the cell must be over, by `performance.now()`. */
  until: number;
  /** Floating-point operations of a call, and what the machine does of them in a second. */
  flops: number;
  peaks: Peaks;
}

export interface Cell {
  rows: Row[];
  /** The versions that the variants run. */
  versions: string[];
  /** Parameters of the network, the same in all variants. */
  parameters: number;
  /** Failures and time-outs. */
  notes: string[];
  /** The largest difference of a variant's first output from the reference's. */
  differences: { variant: Variant; reference: Variant; difference: number }[];
}

/** Each turn lasts this long at least, so that a short call is timed many times and not only on cold caches. */
const TURN_MS = 200;
/** A pause between turns: the threads of the one that ran spin for a while before they sleep. */
const PAUSE_MS = 100;
/** Kept for the turns when first calls are long and time is short. */
const RESERVE_MS = 10_000;
/** From this length of a cell of sampling on, three rounds have to do. */
const LONG_MS = 60_000;

/** One network, case and batch: every variant in a process of its own, and never two at work at once. */
export async function measureCell(options: CellOptions): Promise<Cell> {
  const { job, rounds, limitMs, until } = options;
  const within = (ms: number, reserve = 0) => Math.max(1, Math.min(ms, until - reserve - performance.now()));
  const cell: Cell = { rows: [], versions: [], parameters: 0, notes: [], differences: [] };
  const racers: Racer[] = [];
  const outputs: { variant: Variant; values: number[]; parameters: number }[] = [];
  const trying = async (variant: Variant, work: () => Promise<void>): Promise<boolean> => {
    try {
      await work();
      return true;
    } catch (error) {
      const where = `${options.network}, ${job.case}, batch ${job.batch}`;
      cell.notes.push(`${where}: ${variant} has no figure: ${(error as Error).message}`);
      return false;
    }
  };
  try {
    for (const variant of options.variants) {
      const worker = startWorker(variant, options.torch);
      const ready = await trying(variant, async () => {
        const loaded = await worker.request<Loaded>(
          { cmd: 'load', job },
          within(limitMs + options.graceMs, RESERVE_MS),
        );
        const { ms: firstMs } = await worker.request<{ ms: number }>(
          { cmd: 'first' },
          within(limitMs + options.graceMs, RESERVE_MS),
        );
        const { values } = await worker.request<{ values: number[] }>({ cmd: 'result' }, limitMs);
        racers.push({ variant, worker, times: [], outside: [], firstMs });
        outputs.push({ variant, values, parameters: loaded.parameters });
        cell.versions.push(loaded.version);
      });
      if (!ready) worker.stop();
    }
    cell.parameters = outputs[0]?.parameters ?? 0;
    cell.differences.push(...compare(outputs));
    const start = performance.now();
    for (let round = 0; round < rounds; round++) {
      if (job.case === 'sample' && round >= 3 && performance.now() - start > LONG_MS) break;
      if (round >= 1 && within(RESERVE_MS) < RESERVE_MS / 2) break;
      for (const racer of [...racers]) {
        await new Promise((done) => setTimeout(done, PAUSE_MS));
        const done = await trying(racer.variant, () => turn(racer, limitMs));
        if (!done) racers.splice(racers.indexOf(racer), 1);
      }
    }
    for (const { variant, worker, times, outside, firstMs } of racers) {
      const { peakMiB } = await worker.request<{ peakMiB: number }>({ cmd: 'memory' }, limitMs);
      const { network, flops, peaks } = options;
      const row: Row = {
        network,
        case: job.case,
        variant,
        batch: job.batch,
        ...summary(times),
        ratioToTorch: null,
        ratioToBest: null,
        bestRival: null,
        firstMs,
        peakMiB,
      };
      if (job.case === 'sample') row.steps = job.lambdas.length;
      if (job.case === 'sample' && outside.length > 0) row.outsideGraph = summary(outside).medianMs;
      row.shareOfPeak = flops / (row.medianMs / 1000) / peaks[precisionOf(variant)];
      cell.rows.push(row);
    }
  } finally {
    for (const { worker } of racers) worker.stop();
  }
  return cell;
}

interface Loaded {
  parameters: number;
  version: string;
}

async function turn(racer: Racer, limitMs: number): Promise<void> {
  const reply = await racer.worker.request<{ times: number[]; outside?: number }>(
    { cmd: 'turn', ms: TURN_MS },
    limitMs,
  );
  // The first call of several ran on the caches that the variant before it left.
  racer.times.push(...(reply.times.length > 2 ? reply.times.slice(1) : reply.times));
  if (reply.outside !== undefined) racer.outside.push(reply.outside);
}

/** Outputs against PyTorch's where there are some, else against the first variant's; other sizes of a network are an error. */
function compare(outputs: readonly { variant: Variant; values: number[]; parameters: number }[]): Cell['differences'] {
  const reference = outputs.find(({ variant }) => variant === 'torch') ?? outputs[0];
  if (!reference) return [];
  return outputs
    .filter((output) => output !== reference)
    .map(({ variant, values, parameters }) => {
      if (parameters !== reference.parameters)
        throw new Error(`${variant} has ${parameters} parameters and ${reference.variant} ${reference.parameters}.`);
      return { variant, reference: reference.variant, difference: largestDifference(values, reference.values) };
    });
}
