/**
 * Dark violet, blue, teal, green, yellow, as OKLab (lightness, green–red, blue–yellow): lightness rises by equal steps,
 * so equal differences of a value look equal, in grey and to the colour-blind too. Every colour between lies in sRGB.
 */
const STOPS: readonly (readonly [number, number, number])[] = [
  [0.22, 0.045, -0.08],
  [0.4, 0.015, -0.13],
  [0.58, -0.06, -0.055],
  [0.76, -0.12, 0.07],
  [0.94, -0.045, 0.165],
];

/** The colour of `t` in [0, 1] (clamped) as RGB bytes, from dark to light. */
export function colorMap(t: number): [red: number, green: number, blue: number] {
  const position = Math.min(Math.max(t, 0), 1) * (STOPS.length - 1);
  const i = Math.min(Math.floor(position), STOPS.length - 2);
  const [from, to] = [STOPS[i] as readonly number[], STOPS[i + 1] as readonly number[]];
  const mix = (c: number) => (from[c] as number) + (position - i) * ((to[c] as number) - (from[c] as number));
  return linearOf(mix(0), mix(1), mix(2)).map((value) => Math.round(255 * gamma(value))) as [number, number, number];
}

/** OKLab to linear sRGB (Ottosson 2020, "A perceptual color space for image processing"). */
function linearOf(L: number, a: number, b: number): [number, number, number] {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  return [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
}

function gamma(linear: number): number {
  const value = Math.min(Math.max(linear, 0), 1);
  return value <= 0.0031308 ? 12.92 * value : 1.055 * value ** (1 / 2.4) - 0.055;
}
