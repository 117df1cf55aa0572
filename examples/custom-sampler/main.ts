// A sampler of one's own: the midpoint method along the probability-flow ODE. The conformance kit checks it, and one with
// a mistake; then it runs against DDIM at equal numbers of model calls.
import { alpha, alphaRatio, combine, gaussianMixture, key, labels } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { ddim, type Sampler, sample, unipc } from '@logsnr/samplers';
import { expectPassed, testSampler } from '@logsnr/samplers/testing';
import { arctan, grid } from '@logsnr/schedules';
import { useBackend } from '@logsnr/tensorflow';
import { norm, sub } from '@tensorflow/tfjs-core';

// In y = z/α and s = σ/α = e^{−λ/2} the flow is dy/ds = ε: ε at the middle of [s, s'] serves the whole step.
const midpoint: Sampler<null> = {
  name: 'midpoint',
  order: 2,
  calls: (index, points) => (points[index + 1] === Number.POSITIVE_INFINITY ? 1 : 2),
  init: () => null,
  step({ predict, z, from, to }, state) {
    const [s, end] = [Math.exp(-from / 2), Math.exp(-to / 2)];
    const move = (lambda: number, part: number, e: typeof z) =>
      combine([alphaRatio(from, lambda), z], [alpha(lambda) * part * (end - s), e]);
    const { x, eps } = predict(z, from);
    if (to === Number.POSITIVE_INFINITY) return { z: combine([1, x]), state };
    const middle = -2 * Math.log((s + end) / 2);
    return { z: move(to, 1, predict(move(middle, 1 / 2, eps), middle).eps), state };
  },
};
const mistaken: Sampler<null> = {
  ...midpoint,
  name: 'mistaken',
  step: (context, state) => midpoint.step({ ...context, predict: (at) => context.predict(at, context.from) }, state),
};
await useBackend();
for (const { name, message } of expectPassed(testSampler(midpoint)).checks) console.log(`${name}: ${message}`);
try {
  expectPassed(testSampler(mistaken));
} catch (error) {
  console.log(`\n${(error as Error).message}\n`);
}

const classes = labels(2);
const mixture = gaussianMixture([-1, 1].map((mean) => ({ mean: [mean, 0], std: 0.4 })));
const model = classifierFree(mixture.model, classes, 1);
const condition = classes.of([0, 1, 0, 1]);
const run = <S>(sampler: Sampler<S>, steps: number) => {
  const lambdas = grid(arctan({ lambdaMin: -6, lambdaMax: 6 }), steps);
  return sample({ model, condition, sampler, lambdas, shape: [4, 2], key: key(0) });
};
const exact = run(unipc({ order: 3 }), 1000);
const error = (sampler: Sampler<null>, steps: number) => norm(sub(run(sampler, steps), exact)).dataSync()[0] as number;
console.log('model calls   error of ddim   error of midpoint');
for (const steps of [8, 16, 32, 64]) {
  const calls = 2 * steps - 1;
  const figures = [error(ddim(), calls).toExponential(2), error(midpoint, steps).toExponential(2)] as const;
  console.log(`${String(calls).padStart(11)}   ${figures[0].padStart(13)}   ${figures[1].padStart(17)}`);
}
