import { ticks as roundNumbers } from 'd3-array';

/** Round numbers within [low, high], about `count` + 1 of them: their text and where they lie, from 0 to 1. */
export const ticks = ([low, high]: readonly [number, number], count: number): { at: number; text: string }[] =>
  roundNumbers(low, high, count).map((value) => ({
    at: (value - low) / (high - low),
    text: String(Number(value.toPrecision(6))).replace('-', '−'),
  }));
