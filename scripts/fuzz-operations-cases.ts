// What fuzz-operations-worker.ts tries: inputs and attributes of a native operation, right or spoilt, as a function of seed and
// number; and which of them the operation must take.

import { fold, key, PHILOX_NORMAL, uniforms } from '@logsnr/core';
import {
  ADAM,
  ATTENTION,
  ATTENTION_GRADIENT,
  CONV_3X3,
  CONV_3X3_FILTER_GRADIENT,
  CONV_3X3_INPUT_GRADIENT,
  GROUP_NORM,
  GROUP_NORM_GRADIENT,
  LINEAR,
  LINEAR_INPUT_GRADIENT,
  LINEAR_WEIGHT_GRADIENT,
  PHILOX_UNIFORM,
} from '@logsnr/nn';

export interface Input {
  readonly shape: readonly number[];
  readonly dtype: 'float32' | 'int32' | 'bool';
}

export interface Case {
  readonly kernel: string;
  readonly inputs: Readonly<Record<string, Input>>;
  readonly attrs: Readonly<Record<string, unknown>>;
}

/** Random choices of one case. */
export interface Draw {
  /** An integer, both ends included. */
  whole(low: number, high: number): number;
  chance(p: number): boolean;
  one<T>(choices: readonly T[]): T;
}

export function drawOf(seed: number, index: number): Draw {
  const numbers = uniforms(fold(key(seed), index), 200).values();
  const whole = (low: number, high: number) => low + Math.floor(Number(numbers.next().value) * (high - low + 1));
  return {
    whole,
    chance: (p) => whole(0, 999) < 1000 * p,
    one: <T>(choices: readonly T[]) => choices[whole(0, choices.length - 1)] as T,
  };
}

const float = (shape: readonly number[]): Input => ({ shape, dtype: 'float32' });
const none = [0];

/** Rank 0 to 5, sizes 0 to 17, some 20,000 values at most. */
function anyShape(draw: Draw): number[] {
  let values = 1;
  return Array.from({ length: draw.whole(0, 5) }, () => {
    const size = draw.whole(0, Math.min(17, Math.floor(20_000 / Math.max(1, values))));
    values *= size;
    return size;
  });
}

function normCase(kernel: string, draw: Draw): Case {
  const [n, h, w, groups] = [draw.whole(0, 3), draw.whole(1, 17), draw.whole(1, 17), draw.whole(1, 5)];
  const [c, silu] = [groups * draw.whole(1, 9), draw.chance(0.5)];
  const or = (shape: number[]) => float(draw.chance(0.5) ? shape : none);
  const [x, vector, film, group] = [float([n, h, w, c]), float([c]), [n, 1, 1, c], float([n, groups])];
  const epsilon = draw.one([1e-6, 1e-5, 0.5]);
  const bias = or(draw.one([[c], film]));
  const inputs = { x, gamma: vector, beta: vector, bias, scale: or(film), shift: or(film) };
  const all = kernel === GROUP_NORM ? inputs : { dy: x, ...inputs, mean: group, rstd: group };
  return { kernel, inputs: all, attrs: { groups, silu, epsilon } };
}

function adamCase(draw: Draw): Case {
  const [vector, scalar] = [float(anyShape(draw)), float([])];
  const inputs = { p: vector, g: vector, m: vector, v: vector, rate: scalar, epsilon: scalar, keep: scalar };
  return { kernel: ADAM, inputs, attrs: { beta1: draw.one([0, 0.5, 0.9]), beta2: draw.one([0.5, 0.999]) } };
}

// The last two are for graphs alone, and so the operations' own names.
export const FILTERS = 'LogsnrConv3x3Filters';
export const TRANSFORMED = 'LogsnrConv3x3Transformed';
const convolutions: readonly string[] = [
  ...[CONV_3X3, CONV_3X3_INPUT_GRADIENT, CONV_3X3_FILTER_GRADIENT],
  ...[FILTERS, TRANSFORMED],
];
/** Filters: 36 planes of from × to values, each 16 longer. */
const filtersOf = (from: number, to: number): number => 36 * (from * to + 16);

function convolutionCase(kernel: string, draw: Draw): Case {
  const pixels = [draw.whole(0, 3), draw.whole(1, 17), draw.whole(1, 17)];
  const [from, to] = [16 * draw.whole(1, 5), 16 * draw.whole(1, 5)];
  const or = (shape: number[]) => float(draw.chance(0.5) ? shape : none);
  const [x, dy, filters] = [float([...pixels, from]), float([...pixels, to]), float([3, 3, from, to])];
  if (kernel === CONV_3X3_FILTER_GRADIENT) return { kernel, inputs: { x, dy }, attrs: {} };
  if (kernel === CONV_3X3_INPUT_GRADIENT) return { kernel, inputs: { dy, kernel: filters }, attrs: {} };
  if (kernel === FILTERS) return { kernel, inputs: { kernel: filters }, attrs: { turned: draw.chance(0.5) } };
  if (kernel === TRANSFORMED) {
    const inputs = { x, filters: float([filtersOf(from, to)]), bias: or([to]), residual: or([...dy.shape]) };
    return { kernel, inputs, attrs: { to } };
  }
  return { kernel, inputs: { x, kernel: filters, bias: or([to]), residual: or([...dy.shape]) }, attrs: {} };
}

export const linears: readonly string[] = [LINEAR, LINEAR_INPUT_GRADIENT, LINEAR_WEIGHT_GRADIENT];

function linearCase(kernel: string, draw: Draw): Case {
  const [rows, from, to] = [draw.whole(0, 99), 16 * draw.whole(1, 9), 16 * draw.whole(1, 9)];
  const or = (shape: number[]) => float(draw.chance(0.5) ? shape : none);
  const [x, dy, weight] = [float([rows, from]), float([rows, to]), float([from, to])];
  if (kernel === LINEAR_WEIGHT_GRADIENT) return { kernel, inputs: { x, dy }, attrs: {} };
  if (kernel === LINEAR_INPUT_GRADIENT) return { kernel, inputs: { dy, weight }, attrs: {} };
  return { kernel, inputs: { x, weight, bias: or([to]), residual: or([rows, to]) }, attrs: {} };
}

function attentionCase(kernel: string, draw: Draw): Case {
  const [n, t, heads, d] = [draw.whole(0, 3), draw.whole(1, 70), draw.whole(1, 4), draw.whole(1, 40)];
  const [qkv, dy] = [float([n, t, 3 * heads * d]), float([n, t, heads * d])];
  return { kernel, inputs: kernel === ATTENTION ? { qkv } : { dy, qkv }, attrs: { heads } };
}

function philoxCase(kernel: string, draw: Draw): Case {
  const size = { samples: draw.whole(0, 17), blocks: draw.whole(0, 17) };
  const [word, counter] = [draw.whole(0, 2 ** 32 - 1), draw.one([0, 5, 2 ** 32 - 1, 2 ** 45 + 3])];
  return kernel === PHILOX_NORMAL
    ? { kernel, inputs: {}, attrs: { words: [word, draw.whole(0, 9)], counter, ...size } }
    : { kernel, inputs: { key: { shape: [2], dtype: 'int32' } }, attrs: { stream: word, ...size } };
}

/** A shape near the given one, or any. */
function otherShape(shape: readonly number[], draw: Draw): number[] {
  // Only an empty tensor has such a size, and it must stay empty.
  if (shape.some((size) => size > 1e6)) return anyShape(draw);
  const [at, other] = [draw.whole(0, shape.length - 1), draw.whole(0, 17)];
  return draw.one([
    () => anyShape(draw),
    () => shape.map((size, i) => (i === at ? other : size)),
    () => shape.map((size, i) => (i === at ? size + 1 : size)),
    () => shape.slice(1),
    () => [1, ...shape],
    () => [...none],
    () => [0, ...shape.slice(1).map((size) => size * draw.one([1, 2 ** 32, 2 ** 45]))],
  ])();
}

const oddNumbers = [-1, 0, 1, 3, 0.5, 2.5, 2 ** 31, 2 ** 40, -(2 ** 31), Number.NaN, Number.POSITIVE_INFINITY];

/** The same with one thing changed. */
function spoil(given: Case, draw: Draw): Case {
  const names = Object.keys(given.inputs);
  const numbers = Object.keys(given.attrs).filter((name) => typeof given.attrs[name] === 'number');
  if (names.length === 0 || (numbers.length > 0 && draw.chance(0.2))) {
    const name = draw.one(numbers);
    return { ...given, attrs: { ...given.attrs, [name]: draw.one(oddNumbers) } };
  }
  const name = draw.one(names);
  const { shape, dtype } = given.inputs[name] as Input;
  const changed: Input = draw.chance(0.15)
    ? { shape, dtype: draw.one(['int32', 'bool', 'float32']) }
    : { shape: otherShape(shape, draw), dtype };
  return { ...given, inputs: { ...given.inputs, [name]: changed } };
}

function makerOf(kernel: string): (kernel: string, draw: Draw) => Case {
  if (kernel === PHILOX_NORMAL || kernel === PHILOX_UNIFORM) return philoxCase;
  if (kernel === ADAM) return (_, draw) => adamCase(draw);
  if (linears.includes(kernel)) return linearCase;
  if (kernel === ATTENTION || kernel === ATTENTION_GRADIENT) return attentionCase;
  return convolutions.includes(kernel) ? convolutionCase : normCase;
}

/** Case number `index` of a seed. */
export function caseOf(seed: number, index: number): Case {
  const draw = drawOf(seed, index);
  const kernel = draw.one([
    ...[GROUP_NORM, GROUP_NORM_GRADIENT, GROUP_NORM_GRADIENT, ADAM, PHILOX_NORMAL, PHILOX_UNIFORM],
    ...[ATTENTION, ATTENTION_GRADIENT],
    ...convolutions,
    ...linears,
  ]);
  let made = makerOf(kernel)(kernel, draw);
  for (let changes = draw.one([0, 1, 1, 2]); changes > 0; changes--) made = spoil(made, draw);
  return made;
}

const same = (a: readonly number[], b: readonly number[]): boolean =>
  a.length === b.length && a.every((x, i) => x === b[i]);
export const isNone = ({ shape }: Input): boolean => same(shape, none);

const areImages = (shape: readonly number[]): boolean =>
  shape.length === 4 &&
  shape.slice(1).every((size) => size >= 1) &&
  shape.reduce((product, size) => product * Math.max(1, size), 1) < 2 ** 61;

function normFits(inputs: Readonly<Record<string, Input>>, attrs: Case['attrs']): boolean {
  const { groups, epsilon } = attrs as { groups: number; epsilon: number };
  if (!(Math.fround(epsilon) > 0 && Number.isFinite(Math.fround(epsilon)))) return false;
  const { x, ...rest } = inputs as { x: Input };
  const [n = 0, h = 0, w = 0, c = 0] = x.shape;
  if (x.shape.length !== 4 || h < 1 || w < 1 || c < 1 || !(Number.isInteger(groups) && groups >= 1 && c % groups === 0))
    return false;
  if (x.shape.reduce((product, size) => product * Math.max(1, size), 1) >= 2 ** 61) return false;
  const shapes: Record<string, number[]> = { dy: [n, h, w, c], scale: [n, 1, 1, c], shift: [n, 1, 1, c] };
  const optional = ['bias', 'scale', 'shift'];
  return Object.entries(rest as Record<string, Input>).every(([name, input]) => {
    const shape = name === 'mean' || name === 'rstd' ? [n, groups] : (shapes[name] ?? [c]);
    if (name === 'bias' && same(input.shape, [n, 1, 1, c])) return true;
    return same(input.shape, shape) || (optional.includes(name) && isNone(input));
  });
}

const areChannels = (size = 0): boolean => size >= 16 && size % 16 === 0 && size <= 2 ** 20;

function linearFits({ x, dy, weight, bias, residual }: Readonly<Record<string, Input>>): boolean {
  const given = [x, dy].flatMap((input) => (input ? [input.shape] : []));
  if (!given.every((shape) => shape.length === 2 && areChannels(shape[1]))) return false;
  const rows = given[0]?.[0] as number;
  if (!weight) return rows === dy?.shape[0];
  const [from, to] = weight.shape;
  if (weight.shape.length !== 2 || !areChannels(from) || !areChannels(to)) return false;
  if (from !== (x?.shape[1] ?? from) || to !== (dy?.shape[1] ?? to)) return false;
  return (
    (!bias || isNone(bias) || same(bias.shape, [to as number])) &&
    (!residual || isNone(residual) || same(residual.shape, [rows, to as number]))
  );
}

function convolutionFits(inputs: Readonly<Record<string, Input>>, attrs: Case['attrs']): boolean {
  const { x, dy, filters, bias, residual } = inputs;
  const given = [x, dy].flatMap((input) => (input ? [input.shape] : []));
  if (!given.every((shape) => areImages(shape) && areChannels(shape[3]))) return false;
  const [pixels, from, to] = [given[0]?.slice(0, 3) ?? [], x?.shape[3], dy?.shape[3]];
  // The filters' size says that they are those of such a kernel.
  const whole =
    Number.isSafeInteger(attrs.to) && same(filters?.shape ?? [], [filtersOf(from ?? 0, attrs.to as number)]);
  const kernel = filters ? { shape: whole ? [3, 3, from ?? 0, attrs.to as number] : none } : inputs.kernel;
  if (!kernel) return same(pixels, dy?.shape.slice(0, 3) ?? []);
  const [rows, columns, c, o] = kernel.shape;
  if (kernel.shape.length !== 4 || rows !== 3 || columns !== 3 || !areChannels(c) || !areChannels(o)) return false;
  if (c !== (from ?? c) || o !== (to ?? o)) return false;
  return (
    (!bias || isNone(bias) || same(bias.shape, [o as number])) &&
    (!residual || isNone(residual) || same(residual.shape, [...pixels, o as number]))
  );
}

function attentionFits({ dy, qkv }: Readonly<Record<string, Input>>, heads: number): boolean {
  const [n = 0, t = 0, channels = 0] = qkv?.shape ?? [];
  if (!(Number.isInteger(heads) && heads >= 1 && heads <= 2 ** 20) || qkv?.shape.length !== 3) return false;
  if (t < 1 || channels < 1 || channels % (3 * heads) !== 0 || Math.max(1, n) * t * channels >= 2 ** 61) return false;
  return !dy || same(dy.shape, [n, t, channels / 3]);
}

function adamFits(inputs: Readonly<Record<string, Input>>, attrs: Case['attrs']): boolean {
  const share = (value: unknown) => typeof value === 'number' && value >= 0 && value <= 1;
  const shape = (name: string) => inputs[name]?.shape ?? [];
  const scalars = ['rate', 'epsilon', 'keep'].every((name) => shape(name).length === 0);
  return (
    scalars &&
    ['g', 'm', 'v'].every((name) => same(shape(name), shape('p'))) &&
    share(attrs.beta1) &&
    share(attrs.beta2)
  );
}

function philoxFits({ inputs, attrs }: Case): boolean {
  const whole = (name: string, least: number, most: number) => {
    const value = attrs[name] ?? least;
    return Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;
  };
  const sizes = whole('samples', 0, 2 ** 31 - 1) && whole('blocks', 0, 2 ** 29 - 1);
  return (
    sizes &&
    whole('stream', 0, 2 ** 32 - 1) &&
    whole('counter', 0, 2 ** 53) &&
    (!inputs.key || same(inputs.key.shape, [2]))
  );
}

/** Whether the operation must take a case; else it must refuse it. */
export function fits(given: Case): boolean {
  const { kernel, inputs, attrs } = given;
  const type = kernel === PHILOX_UNIFORM ? 'int32' : 'float32';
  if (Object.values(inputs).some(({ dtype }) => dtype !== type)) return false;
  if (kernel === ADAM) return adamFits(inputs, attrs);
  if ('heads' in attrs) return attentionFits(inputs, attrs.heads as number);
  if (convolutions.includes(kernel)) return convolutionFits(inputs, attrs);
  if (linears.includes(kernel)) return linearFits(inputs);
  return 'groups' in attrs ? normFits(inputs, attrs) : philoxFits(given);
}

/** A case on one line. */
export function describe({ kernel, inputs, attrs }: Case): string {
  const given = Object.entries(inputs).map(([name, { shape, dtype }]) => `${name} ${dtype} [${shape.join(', ')}]`);
  return `${kernel}: ${[...given, ...Object.entries(attrs).map(([name, value]) => `${name} ${value}`)].join(', ')}`;
}
