import { stat } from 'node:fs/promises';
import { explained, makeFolder } from '@logsnr/io/node';
import { InvalidArgumentError } from 'commander';

const numberOf = (text: string, fits: (value: number) => boolean, accepted: string): number => {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!fits(value)) throw new InvalidArgumentError(`It must be ${accepted}.`);
  return value;
};

/** Reads a whole number. */
export const integer =
  (least: number) =>
  (text: string): number =>
    numberOf(text, (value) => Number.isSafeInteger(value) && value >= least, `an integer of at least ${least}`);

/** Reads a number above another one. */
export const above =
  (bound: number) =>
  (text: string): number =>
    numberOf(text, (value) => value > bound && value < Number.POSITIVE_INFINITY, `a number above ${bound}`);

/** Reads a number in [0, 1]. */
export const share = (text: string): number =>
  numberOf(text, (value) => value >= 0 && value <= 1, 'a number from 0 to 1');

/** Reads a number that float32, in which tensors hold it, holds too. */
export const finite = (text: string): number =>
  numberOf(text, (value) => Number.isFinite(Math.fround(value)), 'a finite number');

/** Reads a list that commas separate. */
export const words = (text: string): string[] => text.split(',');

/** @throws RangeError where something is at a path. */
export async function checkNew(...paths: readonly string[]): Promise<void> {
  for (const path of paths)
    if (await stat(path).catch(() => undefined))
      throw new RangeError(`${path} is there already; give another path, or --overwrite.`);
}

/** Makes a folder where it is not there. @throws Error that names it. */
export async function haveFolder(path: string): Promise<void> {
  await makeFolder(path).catch((error: unknown) => {
    throw explained(error, path);
  });
}
