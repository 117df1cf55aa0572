import { isDeepStrictEqual } from 'node:util';
import { fingerprintOf } from '@logsnr/io/node';
import { type LoadedFolder, type ModelRecord, openModel } from './model-folder.js';
import type { TrainingRecord } from './train-presets.js';

/** A model of a sweep. */
export interface SweptModel extends LoadedFolder {
  /** SHA-256 of the file of its weights. */
  readonly weights: string;
  /** Its column in the table. */
  readonly label: string;
}

/** The models that these texts name. @throws RangeError where two have the same weights. */
export async function openModels(texts: readonly string[]): Promise<SweptModel[]> {
  const opened: LoadedFolder[] = [];
  try {
    const weights: string[] = [];
    for (const text of texts) {
      const model = await openModel(text);
      opened.push(model);
      const { sha256 } = await fingerprintOf(model.file);
      const same = weights.indexOf(sha256);
      if (same >= 0) throw new RangeError(`${texts[same]} and ${text} have the same weights; name each model once.`);
      weights.push(sha256);
    }
    const labels = labelsOf(
      opened.map(({ record }) => record),
      texts,
    );
    return opened.map((model, i) => ({ ...model, weights: weights[i] as string, label: labels[i] as string }));
  } catch (error) {
    for (const model of opened) model.dispose();
    throw error;
  }
}

/** What each model is called: its p_uncond where they differ in it alone, else its name; where names are the same, what the user wrote. */
export function labelsOf(records: readonly ModelRecord[], texts: readonly string[]): string[] {
  const names = records.map(({ name }) => name);
  const shares = records.map(pUncondOf);
  const others = records.map(withoutPUncond);
  const alone = others.every((other) => isDeepStrictEqual(other, others[0]));
  if (records.length > 1 && alone && allDiffer(shares) && !shares.includes(undefined))
    return shares.map((share) => `p_uncond = ${share}`);
  return allDiffer(names) ? names : [...texts];
}

const allDiffer = (values: readonly unknown[]) => new Set(values).size === values.length;
const pUncondOf = ({ training }: ModelRecord) => (training as Partial<TrainingRecord> | undefined)?.pUncond;

function withoutPUncond({ network, prediction, variance, schedule, data, training }: ModelRecord): object {
  const { pUncond: _, ...rest } = (training ?? {}) as Partial<TrainingRecord>;
  return { network, prediction, variance, schedule, data, training: rest };
}
