import { readable } from '@logsnr/networks';
import { describeNetwork, haveBackend } from './describe-presets.js';
import type { ModelRecord } from './model-folder.js';
import type { TrainingRecord } from './train-presets.js';

/** Dense bfloat16 products of an H100 SXM, as NVIDIA's data sheet has it, in FLOP/s, and the share of it that is assumed to be used. */
const [H100, UTILISATION] = [989e12, 0.35];

/** What a training takes, calculated before it begins. */
export interface TrainingPlan {
  readonly parameters: number;
  /** Of weights, gradients, Adam's two moments and the average: five float32 numbers a parameter. */
  readonly stateBytes: number;
  /** What a part of a batch keeps of the forward pass for the gradients. */
  readonly activationBytes: number;
  /** Of a step: two for each multiply-add, and the gradients take twice what the forward pass takes. */
  readonly flopsPerStep: number;
  readonly steps: number;
  readonly h100: { readonly peakFlops: number; readonly utilisation: number; readonly hours: number };
}

/** The plan of a record. */
export async function planOf(
  { network: spec }: ModelRecord,
  { batch, accumulate, steps }: TrainingRecord,
): Promise<TrainingPlan> {
  await haveBackend();
  const { height, width, channels } = spec.config;
  const { parameters, multiplyAdds, activationBytes } = describeNetwork({
    network: spec,
    image: [height, width, channels],
  });
  const flopsPerStep = 2 * 3 * multiplyAdds * batch;
  return {
    ...{ parameters, stateBytes: 5 * 4 * parameters, activationBytes: (activationBytes * batch) / accumulate },
    ...{ flopsPerStep, steps },
    h100: { peakFlops: H100, utilisation: UTILISATION, hours: (flopsPerStep * steps) / (H100 * UTILISATION) / 3600 },
  };
}

/** The plan as lines for a terminal. */
export function planText(plan: TrainingPlan, { batch, accumulate }: TrainingRecord): string {
  const { parameters, stateBytes, activationBytes, flopsPerStep, steps, h100 } = plan;
  const part = accumulate === 1 ? `${batch} images` : `${batch / accumulate} of ${batch} images`;
  const time = h100.hours < 48 ? `${h100.hours.toPrecision(3)} hours` : `${(h100.hours / 24).toPrecision(3)} days`;
  return [
    `parameters            ${readable(parameters)}`,
    `memory                ${readable(stateBytes, 'B')} of weights, gradients, moments and average; ${readable(activationBytes, 'B')} of activations for ${part}`,
    `work                  ${readable(flopsPerStep, 'FLOP')} a step, ${steps} steps`,
    `on one H100           ${time}: calculated, not measured, for ${100 * h100.utilisation} % of ${h100.peakFlops / 1e12} TFLOP/s (dense bfloat16)`,
  ].join('\n');
}
