import { checkShape } from '@logsnr/core';
import type { DiscreteTimes } from '@logsnr/schedules';
import { clipByValue, div, expandDims, sub, sum, type Tensor1D, tensor1d, tidy } from '@tensorflow/tfjs-core';

/**
 * {@link DiscreteTimes.timeOf} on tensors: t(λ) = Σ_i clip((λ_i − λ)/(λ_i − λ_{i+1}), 0, 1). An interval of the table that λ
 * has passed counts 1, and the interval that λ is in counts its share. At the table's own λ, in float32, each quotient is
 * exactly 0 or 1, so t is exactly whole.
 * @throws RangeError when two neighbouring times have the same λ in float32.
 */
export function timeOf(times: DiscreteTimes): (lambda: Tensor1D) => Tensor1D {
  const table = Float32Array.from(times.lambdas);
  const widths = table.subarray(0, -1).map((lambda, i) => lambda - (table[i + 1] as number));
  if (widths.some((width) => !(width > 0)))
    throw new RangeError('two neighbouring times have the same λ in float32; leave one of them out.');
  return (lambda) =>
    tidy(() => {
      checkShape('lambda', lambda, [null]);
      const passed = sub(tensor1d(table.subarray(0, -1)), expandDims(lambda, 1));
      return sum(clipByValue(div(passed, tensor1d(widths)), 0, 1), 1) as Tensor1D;
    });
}
