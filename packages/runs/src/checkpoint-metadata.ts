import { checkInteger } from '@logsnr/core';
import { DamagedFile, type Metadata } from '@logsnr/io';
import { faultOf } from '@logsnr/io/node';
import type { TrainingState } from '@logsnr/training';
import * as v from 'valibot';

/** The format that always has a checksum. */
export const CHECKED = 'logsnr-checkpoint-3';
/** Format 2 had no checksum; format 1 neither losses, skipped steps, seconds, key nor further averages. */
const formats = [CHECKED, 'logsnr-checkpoint-2', 'logsnr-checkpoint-1'];

const number = v.pipe(v.string(), v.regex(/^\d[\d.e+-]*$/), v.transform(Number), v.finite());
const step = v.pipe(number, v.safeInteger());
const word = v.pipe(number, v.integer(), v.maxValue(2 ** 32 - 1));
const schema = v.object({
  format: v.picklist(formats),
  step,
  skipped: v.optional(
    v.pipe(v.string(), v.parseJson(), v.array(v.pipe(v.number(), v.safeInteger(), v.minValue(1)))),
    '[]',
  ),
  seconds: v.optional(number, '0'),
  key: v.optional(
    v.pipe(
      v.string(),
      v.transform((text) => text.split(',')),
      v.strictTuple([word, word]),
    ),
  ),
});
const OWN = ['format', 'step', 'skipped', 'seconds', 'key'];

type Numbers = Pick<TrainingState, 'step' | 'skipped' | 'seconds' | 'key'> & { readonly metadata: Metadata };

/**
 * What the metadata of a checkpoint says.
 * @throws DamagedFile that names the file by `what`.
 */
export function numbersOf(metadata: Metadata, what: string): Numbers {
  const own = Object.fromEntries(
    OWN.filter((name) => Object.hasOwn(metadata, name)).map((name) => [name, metadata[name]]),
  );
  const { success, output, issues } = v.safeParse(schema, own);
  if (!success)
    throw new DamagedFile(`${what} is no checkpoint that this version reads: in its metadata, ${faultOf(issues)}.`);
  const { skipped, step, seconds, key } = output;
  if (skipped.some((at, i) => at > step || at <= (skipped[i - 1] ?? 0)))
    throw new DamagedFile(
      `${what} has metadata that cannot be right: of ${step} steps it skipped ${skipped}.`.slice(0, 400),
    );
  const notes = Object.entries(metadata).filter(([name]) => !OWN.includes(name));
  return { step, skipped, seconds, ...(key ? { key: { words: key } } : {}), metadata: Object.fromEntries(notes) };
}

/** The metadata of a state. @throws RangeError on numbers that no state has, and on notes under a key of the checkpoint's own. */
export function textOf({
  metadata = {},
  step,
  skipped = [],
  seconds = 0,
  key,
}: TrainingState & { readonly metadata?: Metadata }): Metadata {
  for (const name of OWN)
    if (Object.hasOwn(metadata, name)) throw new RangeError(`the metadata key "${name}" is the checkpoint's own.`);
  checkInteger('step', step);
  skipped.forEach((at, i) => {
    checkInteger(`skipped[${i}]`, at, 1);
  });
  if (!(seconds >= 0 && seconds < Number.POSITIVE_INFINITY))
    throw new RangeError(`seconds is ${seconds}; it must be a finite number of at least 0.`);
  return {
    ...metadata,
    format: CHECKED,
    step: String(step),
    skipped: JSON.stringify(skipped),
    seconds: String(seconds),
    ...(key ? { key: key.words.join() } : {}),
  };
}
