import { inspect, isDeepStrictEqual } from 'node:util';
import type { Json, Settings } from './manifest.js';

/** More levels are of no settings, and of some number on no reader of JSON has a stack for them. */
const DEEPEST = 100;

/** Whether a value has more levels. One that holds itself has not, and is refused for that. */
const isDeep = (value: unknown, within: readonly unknown[] = []): boolean =>
  typeof value === 'object' &&
  value !== null &&
  !within.includes(value) &&
  (within.length === DEEPEST || Object.values(value).some((part) => isDeep(part, [...within, value])));

/** @throws RangeError that names the first part of `value` which would not come back from JSON as it is. */
export function assertJson(value: unknown, path: string, within: readonly unknown[] = []): void {
  if (within.length === 0 && isDeep(value))
    throw new RangeError(`${path} are nested more than ${DEEPEST} deep. Make them flatter, or write a part as text.`);
  const whole = !within.includes(value);
  if (whole && isDeepStrictEqual(copied(value), value)) return;
  if (whole && typeof value === 'object' && value !== null)
    for (const [name, part] of Object.entries(value)) assertJson(part, `${path}.${name}`, [...within, value]);
  throw new RangeError(
    `${path} is ${inspect(value, { depth: 1 })}, which the run's files cannot hold as it is. Settings are null, booleans, finite numbers other than -0, text, and arrays without holes and plain objects of these; write others as text.`,
  );
}

function copied(value: unknown): unknown {
  try {
    return JSON.parse(JSON.stringify(value));
  } catch {
    return copied; // Equal to no value.
  }
}

/** Throws where a run with the settings `given` would not be the one in the folder `path`. */
export function checkSettings(saved: Settings, given: Settings, path: string): void {
  const names = [...new Set([...Object.keys(saved), ...Object.keys(given)])];
  const text = (value: Json | undefined) => (value === undefined ? 'nothing' : JSON.stringify(value));
  const faults = names
    .filter((name) => !isDeepStrictEqual(saved[name], given[name]))
    .map((name) => `${name} is ${text(given[name])}, was ${text(saved[name])}`);
  if (faults.length > 0)
    throw new RangeError(
      `${path} is of a run with other settings: ${faults.join('; ')}. Choose another folder, or use the settings it had.`,
    );
}
