import { checkFinite, checkInteger } from '@logsnr/core';

export interface Axis {
  label: string;
  /** Logarithmic; all values must then be positive. */
  log?: boolean;
  /** Where the axis begins and ends; default round numbers around the data. */
  min?: number;
  max?: number;
}

export interface Series {
  name: string;
  points: readonly (readonly [x: number, y: number])[];
  /** Which y axis: 0, the default, or 1. */
  axis?: 0 | 1;
  /** A dot at each point; default for 40 points or fewer. */
  markers?: boolean;
  /** Dashed, for example for a validation curve beside a training curve. */
  dash?: boolean;
  /** A CSS colour; default one of the axis' own. */
  color?: string;
  /** From 0 to 1, the default; a raw curve behind its smoothed one may be paler. */
  opacity?: number;
}

/** A published or theoretical value, drawn as a thin dashed horizontal line and named in the legend. */
export interface Reference {
  name: string;
  value: number;
  axis?: 0 | 1;
}

export interface LineChart {
  title: string;
  /** A second, smaller line; a line break starts another. */
  subtitle?: string;
  x: Axis;
  /** One or two. `side` is where the axis stands: the first defaults to the left, the second to the other side. */
  y: readonly (Axis & { side?: 'left' | 'right' })[];
  series: readonly Series[];
  references?: readonly Reference[];
  /** Pixels; default 1280 × 800. */
  width?: number;
  height?: number;
}

/** Throws a `RangeError` that names what cannot be drawn. */
export function checkChart({ x, y, series, references = [], width = 1280, height = 800 }: LineChart): void {
  checkInteger('width', width, 300);
  checkInteger('height', height, 200);
  if (y.length < 1 || y.length > 2) throw new RangeError(`there are ${y.length} y axes; a chart has one or two.`);
  if (y.length === 2 && y[1]?.side !== undefined && y[1].side === (y[0]?.side ?? 'left'))
    throw new RangeError(`both y axes are on the ${y[1].side}; give them different sides.`);
  if (series.length === 0) throw new RangeError('series is empty; a chart has at least one line.');
  const names = [...series, ...references].map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new RangeError(`two lines are named "${twice}"; the legend needs different names.`);
  for (const { name, points, axis } of series) {
    const yAxis = axisOf(y, axis, name);
    if (points.length === 0) throw new RangeError(`series "${name}" has no points.`);
    points.forEach((point, i) => {
      checkValue(`x of point ${i} of series "${name}"`, point[0], x.log);
      checkValue(`y of point ${i} of series "${name}"`, point[1], yAxis.log);
    });
  }
  for (const { name, value, axis } of references) checkValue(`reference "${name}"`, value, axisOf(y, axis, name).log);
}

function axisOf(y: LineChart['y'], axis = 0, name: string): Axis {
  const found = y[axis];
  if (!found)
    throw new RangeError(
      `"${name}" is on axis ${axis}; there ${y.length === 1 ? 'is only axis 0' : 'are axes 0 and 1'}.`,
    );
  return found;
}

function checkValue(what: string, value: number, log = false): void {
  checkFinite(what, value);
  if (log && value <= 0) throw new RangeError(`${what} is ${value}; on a logarithmic axis it must be positive.`);
}
