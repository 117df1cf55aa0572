// A sampler of one's own: Heun's method along the probability-flow ODE, against DDIM at equal numbers of model calls.
import { alpha, alphaRatio, combine, gaussianMixture, key, labels } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { ddim, type Sampler, sample } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { useBackend } from '@logsnr/tensorflow';
import { norm, sub } from '@tensorflow/tfjs-core';

// In y = z/α and s = σ/α = e^{−λ/2} the flow is dy/ds = ε. A trapezoid in s, in units of z at the new λ.
const heun: Sampler<null> = {
  name: 'heun',
  order: 2,
  init: () => null,
  step(eps, z, from, to, state) {
    const ds = Math.exp(-to / 2) - Math.exp(-from / 2);
    const first = eps(z, from);
    const euler = combine([alphaRatio(from, to), z], [alpha(to) * ds, first]);
    if (to === Number.POSITIVE_INFINITY) return { z: euler, state };
    const half = (alpha(to) * ds) / 2;
    return { z: combine([alphaRatio(from, to), z], [half, first], [half, eps(euler, to)]), state };
  },
};

await useBackend();
const mixture = gaussianMixture([
  { mean: [-1, 0], std: 0.4 },
  { mean: [1, 0], std: 0.4 },
]);
const classes = labels(2);
const model = classifierFree(mixture.model, classes, 1);
const schedule = arctan({ lambdaMin: -6, lambdaMax: 6 });
const run = (sampler: Sampler<null>, steps: number) =>
  sample({
    model,
    condition: classes.of([0, 1, 0, 1]),
    sampler,
    lambdas: grid(schedule, steps),
    shape: [4, 2],
    key: key(0),
  });

const exact = run(heun, 1000);
console.log('model calls   error of ddim   error of heun');
for (const steps of [8, 16, 32, 64]) {
  const error = (sampler: Sampler<null>, steps: number) =>
    norm(sub(run(sampler, steps), exact)).dataSync()[0] as number;
  const [d, h] = [error(ddim(), 2 * steps - 1), error(heun, steps)];
  console.log(
    `${String(2 * steps - 1).padStart(11)}   ${d.toExponential(2).padStart(13)}   ${h.toExponential(2).padStart(13)}`,
  );
}
