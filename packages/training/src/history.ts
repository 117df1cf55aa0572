import type { TrainingState } from './training-state.js';

/** The losses of a run, and which of its steps were skipped. */
export function historyOf(from: TrainingState) {
  const [losses, skipped] = [[...(from.losses ?? [])], [...(from.skipped ?? [])]];
  let last = from.step;
  return {
    skipped,
    /** Notes a step; gives how many up to it were skipped in a row. */
    add(step: number, loss: number, norm: number): number {
      last = step;
      losses.push(loss);
      if (!(Number.isFinite(loss) && Number.isFinite(norm))) skipped.push(step);
      let row = 0;
      while (skipped[skipped.length - 1 - row] === step - row) row++;
      return row;
    },
    upTo: (step: number) => ({
      losses: losses.slice(0, losses.length - (last - step)),
      skipped: skipped.filter((at) => at <= step),
    }),
  };
}
