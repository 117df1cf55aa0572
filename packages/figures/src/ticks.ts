/** Round numbers within [low, high], about `count` + 1 of them: their text and where they lie, from 0 to 1. */
export function ticks([low, high]: readonly [number, number], count: number): { at: number; text: string }[] {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * (1 - 1e-9)) ?? 10);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, i) => {
    const value = (first + i) * step;
    return { at: (value - low) / (high - low), text: String(Number(value.toPrecision(6))).replace('-', '−') };
  });
}
