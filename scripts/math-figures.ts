// pnpm math-figures: the pictures of docs/math, as PNGs in docs/images.
import { alpha, sigma } from '@logsnr/core';
import { lineChart, type Series, writePng } from '@logsnr/figures';
import { densityOf, linearBeta, logNormal, secant, uniform } from '@logsnr/schedules';

const lambdas = Array.from({ length: 401 }, (_, i) => -20 + i / 10);
const curve = (name: string, f: (lambda: number) => number): Series => ({
  name,
  points: lambdas.map((lambda) => [lambda, f(lambda)] as const),
  markers: false,
});
const size = { width: 1000, height: 500 };
const x = { label: 'log-SNR λ', min: -20, max: 20 };
const file = (name: string) => `docs/images/${name}.png`;

await writePng(
  file('math-forward'),
  lineChart({
    title: 'z = α x + σ ε: noise on the left, data on the right',
    x,
    y: [{ label: 'scale', min: 0, max: 1 }],
    series: [curve('α, of the data', alpha), curve('σ, of the noise', sigma)],
    ...size,
  }),
);
await writePng(
  file('math-densities'),
  lineChart({
    title: 'Which noise levels are trained on: p(λ) of a schedule',
    x,
    y: [{ label: 'density p(λ)', min: 0 }],
    series: [
      curve('arctan, the paper’s', secant()),
      curve('linearBeta', densityOf(linearBeta())),
      curve('logNormal, EDM’s', densityOf(logNormal())),
      curve('uniform', densityOf(uniform())),
    ],
    ...size,
  }),
);
