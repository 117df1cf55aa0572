// The file of a Gaussian mixture in the plane, and the grid that suits it.
import { readText } from '@logsnr/io/node';
import * as v from 'valibot';
import type { Gaussian } from './tilted-density.js';

const finite = v.pipe(v.number(), v.finite());
const positive = v.pipe(finite, v.gtValue(0));
const label = v.pipe(v.number(), v.safeInteger(), v.minValue(0));
const mixtureSchema = v.strictObject({
  components: v.pipe(
    v.array(
      v.strictObject({ mean: v.strictTuple([finite, finite]), std: positive, weight: v.optional(positive, 1), label }),
    ),
    v.minLength(1),
  ),
  class: label,
});

/** The Gaussians of a file, their labels counted from 0, and the class. */
export async function readMixture(file: string): Promise<{ parts: Gaussian[]; label: number }> {
  let json: unknown;
  try {
    const text = await readText(file);
    if (text === undefined) throw new RangeError(`${file} is missing; give the JSON file of a mixture.`);
    json = JSON.parse(text);
  } catch (error) {
    if (error instanceof SyntaxError) throw new RangeError(`${file} is not JSON: ${error.message}.`);
    throw error;
  }
  const read = v.safeParse(mixtureSchema, json);
  if (!read.success) {
    const [issue] = read.issues;
    const place = v.getDotPath(issue);
    throw new RangeError(
      `${file}${place ? `, at ${place}` : ''}: ${issue.message}. See pnpm tilted --help for what it holds.`,
    );
  }
  const { components, class: wanted } = read.output;
  const classes = [...new Set(components.map(({ label }) => label))].sort((a, b) => a - b);
  if (!classes.includes(wanted))
    throw new RangeError(
      `${file}: the class is ${wanted}; it must be the label of a component: ${classes.join(', ')}.`,
    );
  const parts = components.map(({ label, ...part }) => ({ ...part, label: classes.indexOf(label) }));
  return { parts, label: classes.indexOf(wanted) };
}

/** Even steps from noise, in which no mean is seen, to less noise than the narrowest Gaussian has by far. */
export function evenGrid(parts: readonly Gaussian[], steps: number): number[] {
  const far = Math.max(1, ...parts.map(({ mean, std }) => Math.hypot(...mean) + std - 0.5));
  const narrow = Math.min(0.5, ...parts.map(({ std }) => std));
  const [low, high] = [-10 - 2 * Math.log(far), 10 - 2 * Math.log(2 * narrow)];
  return Array.from({ length: steps }, (_, i) => low + ((high - low) * i) / (steps - 1));
}
