import { deferred, epsOf, key, type Model, type ModelLike, readModel } from '@logsnr/core';
import {
  apg,
  cfgCache,
  cfgPlusPlus,
  classifierFree,
  classifierGuidance,
  composed,
  everyKth,
  interval,
  posteriorSampling,
} from '@logsnr/guidance';
import { native } from '@logsnr/tensorflow';
import { memory, mul, slice, type Tensor, type Tensor1D, tidy, zeros } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { classes, counted, mixture } from '../../guidance/test/tools.js';
import {
  adaptive,
  ancestral,
  compileSampler,
  ddim,
  heun,
  repaint,
  type Sampler,
  sample,
  sampleAsync,
  trajectoryAsync,
  unipc,
} from './index.js';

const lambdas = [-6, -3, -1, 0, 2, 5];
const condition = classes.of([0, 1, 2, 1]);
const given = { lambdas, condition, shape: [4, 2], key: key(5) };

/** The same network, answering at once and later. */
function networks() {
  const { count, wrapped } = counted<Tensor1D>(mixture.model);
  const eps = epsOf(wrapped);
  const later = readModel<Tensor1D>(
    deferred(async (z: Tensor, lambda: Tensor1D, c: Tensor1D) => {
      await new Promise((resume) => setTimeout(resume, 0));
      return tidy(() => eps(z, lambda, c));
    }),
  );
  return { count, now: wrapped, later };
}

const repainted = repaint(ddim(), { known: zeros([4, 2]), mask: mul(zeros([4, 2]), 1), times: 3 });
const cases: Record<string, [(model: ModelLike<Tensor1D>) => Model<Tensor1D>, Sampler<unknown>]> = {
  'no guidance, noise': [(model) => model as Model<Tensor1D>, ancestral({ v: 0.3 }) as Sampler<unknown>],
  'classifier-free, jointly': [(model) => classifierFree(model, classes, 2), unipc() as Sampler<unknown>],
  'classifier-free, in turn': [
    (model) => classifierFree(model, classes, 2, { evaluation: 'split' }),
    heun() as Sampler<unknown>,
  ],
  'on an interval by APG, with a memory': [
    (model) =>
      classifierFree(model, classes, interval(2, { lambda: [-4, 1] }), { rule: apg({ eta: 0, momentum: -0.5 }) }),
    unipc() as Sampler<unknown>,
  ],
  'CFG++': [(model) => cfgPlusPlus(model, classes, 0.6), ddim() as Sampler<unknown>],
  'a cached ∅': [(model) => cfgCache(model, classes, 1, everyKth(lambdas, 2)), ddim() as Sampler<unknown>],
  'the gradient of a classifier that runs here': [
    (model) => classifierGuidance(model, mixture.logPosterior, 1),
    ancestral({ v: 0.2 }) as Sampler<unknown>,
  ],
  'steps of its own choice': [
    (model) => classifierFree(model, classes, 1),
    adaptive({ rtol: 0.3, atol: 0.3 }) as Sampler<unknown>,
  ],
  'ways back, with noise': [(model) => classifierFree(model, classes, 1), repainted as Sampler<unknown>],
};

test.each(Object.entries(cases))(
  '%s: the samples are those of the same network that answers at once',
  async (_, of) => {
    const [guided, sampler] = of;
    const { count, now, later } = networks();
    const wanted = [...sample({ ...given, sampler, model: guided(now) }).dataSync()];
    const asked = { ...count };
    Object.assign(count, { calls: 0, samples: 0 });
    const before = memory().numTensors;
    const found = await sampleAsync({ ...given, sampler, model: guided(later) });
    expect([...found.dataSync()]).toEqual(wanted);
    expect(count).toEqual(asked);
    found.dispose();
    expect(memory().numTensors).toBe(before);
  },
);

describe('beside it', () => {
  test('a model that answers at once is sampled as well, and steps say where they are and what they cost', async () => {
    const model = composed(mixture.model, classes, [1, 1]);
    const options = { ...given, condition: [condition, condition], sampler: ddim(), model };
    const steps: unknown[] = [];
    for await (const { step, lambda, cost } of trajectoryAsync(options)) steps.push([step, lambda, cost?.calls]);
    expect(steps).toEqual([...lambdas.slice(1), Number.POSITIVE_INFINITY].map((lambda, i) => [i + 1, lambda, 1]));
    expect([...(await sampleAsync(options)).dataSync()]).toEqual([...sample(options).dataSync()]);
  });

  test('the event loop lives between the answers, and a walk that is left leaks nothing', async () => {
    const { later } = networks();
    let [ticks, steps] = [0, 0];
    const timer = setInterval(() => ticks++, 0);
    const before = memory().numTensors;
    for await (const { step } of trajectoryAsync({ ...given, sampler: heun(), model: later }))
      if (++steps === 3) {
        expect(step).toBe(3);
        break;
      }
    clearInterval(timer);
    expect(ticks).toBeGreaterThan(3);
    expect(memory().numTensors).toBe(before);
  });

  test('two walks at once do not meet', async () => {
    const { now, later } = networks();
    const seeds = [1, 2].map((seed) => ({ ...given, key: key(seed), sampler: ancestral({ v: 0.3 }) }));
    const found = await Promise.all(seeds.map((options) => sampleAsync({ ...options, model: later })));
    for (const [i, options] of seeds.entries())
      expect([...(found[i]?.dataSync() ?? [])]).toEqual([...sample({ ...options, model: now }).dataSync()]);
  });

  test('what cannot wait says what to do: a plain walk, a graph, a gradient through the network', async () => {
    const { later } = networks();
    const options = { ...given, sampler: ddim(), model: later };
    const before = memory().numTensors;
    expect(() => sample(options)).toThrow('nobody awaits it here; sample with sampleAsync');
    const compiled = compileSampler(native(), { model: later, sampler: ddim() });
    expect(() => compiled.sample(given)).toThrow('It cannot be part of a compiled graph.');
    // A function compiled before the walk began would keep the answer of its recording.
    const jitted = native().jit((z: Tensor, lambda: Tensor1D, c: Tensor1D) => epsOf(later)(z, lambda, c));
    await expect(sampleAsync({ ...options, model: jitted })).rejects.toThrow('It cannot be part of a compiled graph.');
    const measured = { condition, measurement: zeros([4, 1]) };
    const model = posteriorSampling(later, (x) => slice(x, [0, 0], [-1, 1]), 1);
    await expect(sampleAsync({ ...options, model, condition: measured })).rejects.toThrow('so it has no gradient');
    measured.measurement.dispose();
    expect(memory().numTensors).toBe(before);
  });
});
