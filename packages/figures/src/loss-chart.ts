import { mean } from 'd3-array';
import { lineChart } from './line-chart.js';

/**
 * A training loss on a logarithmic axis, step by step and smoothed over 49 steps, as a PNG. Steps whose loss is not finite,
 * which training skips, are left out.
 * @throws RangeError when no loss is finite, or one is not positive.
 */
export function lossChart(losses: readonly number[], { title = 'Training loss' }: { title?: string } = {}): Uint8Array {
  const steps = losses.map((loss, i) => [i + 1, loss] as const).filter(([, loss]) => Number.isFinite(loss));
  const smooth = steps.map(([step], i) => {
    const near = steps.slice(Math.max(0, i - 24), i + 25);
    return [step, mean(near, ([, loss]) => loss) as number] as const;
  });
  return lineChart({
    title,
    x: { label: 'step' },
    y: [{ label: 'loss', log: true }],
    series: [
      { name: 'each step', points: steps, opacity: 0.35, markers: false },
      { name: 'mean of 49 steps', points: smooth, markers: false },
    ],
  });
}
