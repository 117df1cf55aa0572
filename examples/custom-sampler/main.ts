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
    const [ratio, ds] = [alphaRatio(from, to), alpha(to) * (Math.exp(-to / 2) - Math.exp(-from / 2))];
    const first = eps(z, from);
    const euler = combine([ratio, z], [ds, first]);
    if (to === Number.POSITIVE_INFINITY) return { z: euler, state };
    return { z: combine([ratio, z], [ds / 2, first], [ds / 2, eps(euler, to)]), state };
  },
};
await useBackend();
const classes = labels(2);
const mixture = gaussianMixture([-1, 1].map((mean) => ({ mean: [mean, 0], std: 0.4 })));
const model = classifierFree(mixture.model, classes, 1);
const condition = classes.of([0, 1, 0, 1]);
const run = (sampler: Sampler<null>, steps: number) => {
  const lambdas = grid(arctan({ lambdaMin: -6, lambdaMax: 6 }), steps);
  return sample({ model, condition, sampler, lambdas, shape: [4, 2], key: key(0) });
};
const exact = run(heun, 1000);
const error = (sampler: Sampler<null>, steps: number) => norm(sub(run(sampler, steps), exact)).dataSync()[0] as number;
console.log('model calls   error of ddim   error of heun');
for (const steps of [8, 16, 32, 64]) {
  const [calls, d, h] = [2 * steps - 1, error(ddim(), 2 * steps - 1), error(heun, steps)];
  console.log(
    `${String(calls).padStart(11)}   ${d.toExponential(2).padStart(13)}   ${h.toExponential(2).padStart(13)}`,
  );
}
