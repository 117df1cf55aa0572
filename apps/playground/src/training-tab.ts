// Training in the page: Algorithm 1 on some digits, with its loss curve and a look at what the average of the weights draws.
import { fold, free, key } from '@logsnr/core';
import { batch, type ImageSet, shuffledIndices } from '@logsnr/data';
import type { Parameters } from '@logsnr/nn';
import { adam, disposeState, train } from '@logsnr/training';
import { drawCurve } from './curve.js';
import { type Drawing, walkOf } from './drawing.js';
import { nextFrame } from './job.js';
import { fetchFile, type Kind, withWeights } from './model.js';
import { element, form, numberOf, onSubmit, say, seconds, showProgress, textOf } from './page.js';
import { paintImages } from './paint.js';

const GLIMPSE: Drawing = {
  ...{ class: 'all', w: 1, sampler: 'ddim', guidance: 'classifier-free', steps: 12, seed: 1, count: 10 },
};
/** A look at the digits comes this often at most. */
const GLIMPSE_EVERY = 15_000;

/** Prepares the tab. `keep` gets the averaged weights at the end of a training, and owns them. */
export function trainingTab(kind: () => Kind, keep: (weights: Parameters) => void): () => Promise<void> {
  const own = form('training');
  const curve = element<SVGSVGElement>('#curve');
  const glimpse = element<HTMLCanvasElement>('#glimpse');
  let digits: Promise<ImageSet> | undefined;

  const look = async (weights: Parameters) => {
    let values: ArrayLike<number> | undefined;
    for (const { z, step } of walkOf(withWeights(kind(), weights), GLIMPSE)) {
      await nextFrame();
      if (step === GLIMPSE.steps) values = await z.data();
    }
    paintImages(glimpse, [values], kind().image, GLIMPSE.count);
    glimpse.setAttribute('aria-label', 'Ten digits, 0 to 9, drawn with the averaged weights at w = 1');
  };

  return onSubmit(own, async (signal) => {
    const { network, prediction, conditioning, schedule } = kind();
    const [amount, unit] = textOf(own, 'length').split('-') as [string, 'steps' | 'minutes'];
    const [size, seed] = [numberOf(own, 'batch'), key(numberOf(own, 'seed'))];
    say('Loading the digits…');
    digits ??= loadDigits();
    const data = await digits;
    element('#data-count').textContent = data.count.toLocaleString('en');
    const losses: number[] = [];
    let looked = performance.now();
    say('Training…');
    const trained = await train({
      ...{ network, prediction, conditioning, schedule, signal, key: fold(seed, 1) },
      ...(unit === 'steps' ? { steps: Number(amount) } : { minutes: Number(amount) }),
      pUncond: numberOf(own, 'pUncond'),
      optimizer: adam({ learningRate: 3e-3, clipNorm: 1, warmup: 5 }),
      emaDecay: 0.995,
      batch: (step) => {
        const { images, labels } = batch(data, shuffledIndices(fold(seed, 0), data.count, step, size));
        return { images, condition: labels };
      },
      async onStep({ loss, progress, snapshot }) {
        losses.push(loss);
        drawCurve(curve, losses);
        showProgress(progress);
        await nextFrame();
        if (performance.now() - looked < GLIMPSE_EVERY) return;
        const state = snapshot();
        try {
          await look(state.ema ?? state.parameters);
        } finally {
          disposeState(state);
        }
        looked = performance.now();
      },
    });
    const { ema, parameters, optimizer, seconds: took } = trained;
    free([parameters, optimizer]);
    keep(ema);
    const rate = losses.length > 0 ? `, ${seconds((1000 * took) / losses.length)} a step` : '';
    say(`${signal.aborted ? 'Stopped' : 'Trained'} after ${losses.length} steps in ${seconds(1000 * took)}${rate}.`);
    document.body.dataset.losses = JSON.stringify(losses);
    await look(ema);
  });
}

/** The digits of this build: gzip of their labels, a byte each, and then of their pixels. */
async function loadDigits(): Promise<ImageSet> {
  const answer = await fetchFile('digits.bin');
  const plain = (answer.body as ReadableStream<Uint8Array<ArrayBuffer>>).pipeThrough(new DecompressionStream('gzip'));
  const bytes = new Uint8Array(await new Response(plain).arrayBuffer());
  const count = bytes.length / (1 + 28 * 28);
  return {
    ...{ labels: bytes.subarray(0, count), images: bytes.subarray(count) },
    ...{ count, height: 28, width: 28, channels: 1, classes: 10 },
  };
}
