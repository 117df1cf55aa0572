// The exact mixture: densities in closed form, and what sampling draws, without guidance and with it, from the same noise.
import { key, labels } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { trajectory } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { nextFrame } from './job.js';
import { SAMPLERS, samplerOf } from './methods.js';
import { element, fill, form, numberOf, onSubmit, say, seconds, showProgress, textOf } from './page.js';
import { paintPlane, pictureOf, tiltedDensities, triangle } from './plane.js';

export function planeTab(): () => Promise<void> {
  const own = form('plane');
  const canvases = ['#plane-plain', '#plane-guided'].map((id) => element<HTMLCanvasElement>(id));
  fill(element<HTMLSelectElement>('[name=sampler]', own), SAMPLERS);
  return onSubmit(own, async (signal) => {
    const [w, std, count, steps] = (['w', 'std', 'count', 'steps'] as const).map((name) => numberOf(own, name)) as [
      number,
      number,
      number,
      number,
    ];
    const asked = textOf(own, 'class');
    const seed = key(numberOf(own, 'seed'));
    const mixture = triangle(std);
    const shown = asked === 'all' ? [0, 1, 2] : [Number(asked)];
    element('#plane-caption').textContent = `w = ${w}: the tilted density`;
    say('Drawing…');
    const began = performance.now();
    const pictures = [0, w].map((each) => pictureOf(tiltedDensities(mixture, shown, each), shown));
    await nextFrame();
    const classes = labels(3);
    const condition = classes.of(Array.from({ length: count }, (_, i) => shown[i % shown.length] as number));
    const walks = [0, w].map((each) =>
      trajectory({
        ...{
          model: classifierFree(mixture.model, classes, each),
          condition,
          sampler: samplerOf(textOf(own, 'sampler')),
        },
        ...{ lambdas: grid(arctan(), steps), shape: [count, 2], key: seed },
      }),
    );
    try {
      for (let step = 1; step <= steps && !signal.aborted; step++) {
        for (const [i, walk] of walks.entries()) {
          const next = walk.next();
          if (next.done) continue;
          const canvas = canvases[i] as HTMLCanvasElement;
          paintPlane(canvas, pictures[i] as OffscreenCanvas, await next.value.z.data());
          const at = i === 0 ? 'w = 0' : `w = ${w}`;
          canvas.setAttribute(
            'aria-label',
            `${count} points at ${at} on their density, after step ${step} of ${steps}`,
          );
        }
        showProgress(step / steps);
        await nextFrame();
      }
    } finally {
      for (const walk of walks) walk.return();
      condition.dispose();
    }
    const time = performance.now() - began;
    say(signal.aborted ? 'Stopped.' : `Drew ${2 * count} points in ${seconds(time)}: ${seconds(time / steps)} a step.`);
  });
}
