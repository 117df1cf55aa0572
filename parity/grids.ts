import { type DiscreteTimes, fromTimes, grid, karras, respacedTimes, uniform } from '@logsnr/schedules';
import type { Row } from './rows.js';

/** The grid that a peer's scheduler walks, from `lambdas[0]` to `end`, and the time its model sees at each λ. */
export interface PeerGrid {
  lambdas: readonly number[];
  /** The noisiest λ of the whole grid, before `startIndex`. */
  first: number;
  /** Where the last step ends: +∞ or a finite λ. */
  end: number;
  timeOf(lambda: number): number;
}

/** Schedulers that walk x = z/α in σ = σ_k, to σ = 0. */
export const inSigma = ({ scheduler }: Row): boolean =>
  scheduler === 'Euler' || scheduler === 'EulerAncestral' || scheduler === 'Heun';

export function peerGrid(row: Row, table: DiscreteTimes): PeerGrid {
  const nodes = row.spacing === 'default' ? defaultNodes(row, table) : spacedNodes(row, table);
  const lambdas = nodes.map(([lambda]) => lambda).slice(row.startIndex ?? 0);
  const times = new Map(nodes);
  return {
    lambdas,
    first: nodes[0]?.[0] as number,
    // A peer may end with a step of length 0, which still brings x̂ within bounds or corrects z.
    end: Math.max(endOf(row, table), lambdas.at(-1) as number),
    timeOf: (lambda) => times.get(lambda) as number,
  };
}

type Node = readonly [lambda: number, time: number];

function defaultNodes(row: Row, table: DiscreteTimes): Node[] {
  const { scheduler, trainSteps, steps } = row;
  if (inSigma(row))
    return linspace(trainSteps - 1, 0, steps).map((exact) => {
      // The peer keeps these times in float32, and interpolates σ itself between two of them, not its logarithm.
      const t = Math.fround(exact);
      return [-2 * Math.log(sigmaAt(table, t)), t];
    });
  const times =
    scheduler === 'DDIM' || scheduler === 'DDPM'
      ? respacedTimes(trainSteps, steps, 'leading')
      : // One point more than there are steps, without the time 0.
        respacedTimes(trainSteps, steps + 1, 'linspace').slice(0, -1);
  return fromTimes(table, times).map((lambda, i) => [lambda, times[i] as number]);
}

/** Karras' levels, or λ in equal steps, over the whole table; the times follow from the λ. */
function spacedNodes(row: Row, table: DiscreteTimes): Node[] {
  const range = { lambdaMin: table.lambdas.at(-1) as number, lambdaMax: table.lambdas[0] as number };
  const schedule = row.spacing === 'karras' ? karras({ rho: 7, ...range }) : uniform(range);
  // A peer's grid of one step in σ is the cleanest time, any other's the noisiest.
  const lambdas = row.steps > 1 ? grid(schedule, row.steps) : [inSigma(row) ? range.lambdaMax : range.lambdaMin];
  const whole = !(row.spacing === 'karras' && inSigma(row));
  return lambdas.map((lambda) => [lambda, whole ? table.wholeTimeOf(lambda) : table.timeOf(lambda)]);
}

/** Clean data, or λ_0; −∞ is to say that the last λ of the grid is repeated. */
function endOf({ scheduler, spacing, setAlphaToOne }: Row, table: DiscreteTimes): number {
  if (scheduler === 'UniPC' && spacing !== 'default') return Number.NEGATIVE_INFINITY;
  const finite = scheduler === 'DDIM' ? !setAlphaToOne : scheduler === 'DPMSolver++2M' || scheduler === 'UniPC';
  return finite ? (table.lambdas[0] as number) : Number.POSITIVE_INFINITY;
}

const linspace = (first: number, last: number, count: number): number[] =>
  count === 1 ? [last] : Array.from({ length: count }, (_, i) => first + (i * (last - first)) / (count - 1));

function sigmaAt(table: DiscreteTimes, t: number): number {
  const below = Math.min(Math.floor(t), table.steps - 2);
  const [a, b] = [below, below + 1].map((i) => Math.exp(-(table.lambdas[i] as number) / 2)) as [number, number];
  return a + (t - below) * (b - a);
}
