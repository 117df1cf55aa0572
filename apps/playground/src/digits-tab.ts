// Guided digits: rows at several weights from the same noise, and the whole walk to look back along.
import { type Drawing, type ImageModel, labelsOf, walkOf } from './drawing.js';
import { nextFrame } from './job.js';
import { GUIDANCE, SAMPLERS } from './methods.js';
import { element, fill, form, numberOf, onSubmit, say, seconds, showProgress, textOf } from './page.js';
import { download, paintImages } from './paint.js';

/** What was drawn last: for each weight, z after each step, [count, height, width, channels]. */
interface Drawn {
  readonly drawing: Drawing;
  readonly weights: readonly number[];
  readonly walks: readonly Float32Array[][];
  readonly shape: readonly number[];
}

const ROWS: Readonly<Record<string, (w: number) => number[]>> = {
  one: (w) => [w],
  two: (w) => [0, w],
  four: (w) => [0, w / 2, w, 2 * w],
};

/** Prepares the tab. `models` has the models by the names of the form's `weights`. */
export function digitsTab(models: () => Readonly<Record<string, ImageModel | undefined>>): () => Promise<void> {
  const own = form('digits');
  const canvas = element<HTMLCanvasElement>('#digits');
  const shown = element<HTMLInputElement>('#shown');
  const png = element<HTMLButtonElement>('#png');
  fill(element<HTMLSelectElement>('[name=sampler]', own), SAMPLERS);
  fill(element<HTMLSelectElement>('[name=guidance]', own), GUIDANCE);
  let drawn: Drawn | undefined;

  /** Shows all rows after a step, or as far as they have come. */
  const show = (step: number) => {
    if (!drawn) return;
    const { drawing, weights, walks, shape } = drawn;
    const rows = walks.map((walk) => walk[Math.min(step, walk.length) - 1]);
    paintImages(canvas, rows, shape.slice(1) as unknown as [number, number, number], drawing.count);
    element('#shown-step').textContent = `${step} of ${drawing.steps}`;
    const what = drawing.class === 'all' ? 'digits in turn' : `the digit ${drawing.class}`;
    canvas.setAttribute(
      'aria-label',
      `${drawing.count} images of ${what} at w = ${weights.join(', ')}, after step ${step} of ${drawing.steps}`,
    );
  };
  shown.addEventListener('input', () => show(Number(shown.value)));
  png.addEventListener('click', () => download(canvas, 'digits.png'));

  return onSubmit(own, async (signal) => {
    const drawing: Drawing = {
      ...{ class: textOf(own, 'class'), sampler: textOf(own, 'sampler'), guidance: textOf(own, 'guidance') },
      ...{ w: numberOf(own, 'w'), steps: numberOf(own, 'steps') },
      ...{ seed: numberOf(own, 'seed'), count: numberOf(own, 'count') },
    };
    const model = models()[textOf(own, 'weights')];
    if (!model) throw new Error('there are no weights that were trained in this page; train in the tab Training.');
    const weights = [...new Set((ROWS[textOf(own, 'rows')] as (w: number) => number[])(drawing.w))];
    const walks: Float32Array[][] = weights.map(() => []);
    drawn = { drawing, weights, walks, shape: [drawing.count, ...model.image] };
    element('#row-names').replaceChildren(
      ...weights.map((w) => Object.assign(document.createElement('li'), { textContent: `w = ${w}` })),
    );
    Object.assign(shown, { max: String(drawing.steps), value: String(drawing.steps), disabled: true });
    png.disabled = true;
    say('Drawing…');
    const began = performance.now();
    let [spent, steps] = [0, 0];
    for (const [row, w] of weights.entries()) {
      const walk = walkOf(model, { ...drawing, w });
      let from = performance.now();
      for (const { z, step } of walk) {
        (walks[row] as Float32Array[]).push((await z.data()) as Float32Array);
        spent += performance.now() - from;
        steps++;
        show(row === 0 ? step : drawing.steps);
        showProgress((row + step / drawing.steps) / weights.length);
        await nextFrame();
        if (signal.aborted) break;
        from = performance.now();
      }
      if (signal.aborted) break;
    }
    shown.disabled = signal.aborted;
    png.disabled = false;
    const images = weights.length * drawing.count;
    say(
      signal.aborted
        ? 'Stopped.'
        : `Drew ${images} images in ${seconds(performance.now() - began)}: ${seconds(spent / images)} an image, ${seconds(spent / steps)} a step.`,
    );
    // For the console, and for tests: the last images as numbers.
    Object.assign(globalThis, {
      playground: {
        weights,
        labels: labelsOf(drawing, model.conditioning.classes),
        shape: drawn.shape,
        images: walks.map((walk) => walk.at(-1)),
      },
    });
  });
}
