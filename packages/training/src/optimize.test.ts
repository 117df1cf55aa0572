import { eager, flatten, type Runtime, tensorsOf } from '@logsnr/core';
import { native } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { adam } from './adam.js';
import { ema } from './ema.js';
import { NonFiniteError } from './non-finite.js';
import { optimize } from './optimize.js';
import type { OptimizeOptions, OptimizeResult } from './optimize-options.js';
import type { ParameterGroup } from './optimizer.js';
import { disposeState, type TrainingState } from './training-state.js';

const free = (...results: Partial<OptimizeResult>[]) => {
  for (const { parameters, ema, optimizer } of results)
    tf.dispose([parameters ?? {}, ema ?? {}, optimizer ?? {}] as unknown as tf.TensorContainer);
};

/** Σ (w − target)² + (b − 1)², with the target as input. */
const problem = (more: Partial<OptimizeOptions<tf.Tensor>> = {}) => {
  const parameters = { w: tf.tensor2d([[0, 0]]), b: tf.scalar(5) };
  const options: OptimizeOptions<tf.Tensor> = {
    parameters,
    loss: ({ w, b }, target) =>
      tf.add(tf.sum(tf.squaredDifference(w as tf.Tensor, target)), tf.square(tf.sub(b as tf.Tensor, 1))),
    inputs: () => tf.tensor2d([[2, -3]]),
    optimizer: adam({ learningRate: 0.3 }),
    ...more,
  };
  return optimize(options).finally(() => tf.dispose(parameters));
};

/** The numbers of `w` in the named average. */
const dataOf = (averages: Record<string, unknown> | undefined, name: string) =>
  (averages?.[name] as Record<string, tf.Tensor> | undefined)?.w?.dataSync();

test('finds the minimum, in the shapes it was given', async () => {
  const result = await problem({ steps: 300 });
  expect(Object.keys(result.parameters)).toEqual(['w', 'b']);
  expect((result.parameters.w as tf.Tensor).shape).toEqual([1, 2]);
  expect((result.parameters.b as tf.Tensor).shape).toEqual([]);
  const found = [...(result.parameters.w as tf.Tensor).dataSync(), ...(result.parameters.b as tf.Tensor).dataSync()];
  [2, -3, 1].forEach((value, i) => {
    expect(Math.abs((found[i] as number) - value)).toBeLessThan(1e-2);
  });
  expect(result.losses[0]).toBeCloseTo(4 + 9 + 16, 5);
  expect(result.ema).toBeUndefined();
  expect(Object.keys(flatten(result.optimizer)).sort()).toEqual(['m.b', 'm.w', 'v.b', 'v.w']);
  free(result);
});

test('trains a classifier: logistic regression on separable points', async () => {
  const result = await optimize({
    parameters: { weight: tf.zeros([2, 2]) },
    loss: ({ weight }, { x, y }: { x: tf.Tensor2D; y: tf.Tensor }) =>
      tf.neg(tf.mean(tf.sum(tf.mul(y, tf.logSoftmax(tf.matMul(x, weight as tf.Tensor2D))), 1))),
    inputs: () => ({
      x: tf.tensor2d([
        [1, 0.2],
        [0.8, -0.1],
        [-0.9, 0.3],
        [-1.1, 0],
      ]),
      y: tf.tensor2d([
        [1, 0],
        [1, 0],
        [0, 1],
        [0, 1],
      ]),
    }),
    optimizer: adam({ learningRate: 0.5 }),
    steps: 60,
  });
  expect(result.losses[0]).toBeCloseTo(Math.log(2), 5);
  expect(result.losses.at(-1)).toBeLessThan(0.01);
  free(result);
});

test('keeps no tensor of its own over many steps, and snapshots belong to the caller', async () => {
  const counts: number[] = [];
  const before = tf.memory().numTensors;
  const result = await problem({
    steps: 40,
    emaDecay: 0.9,
    onStep(report) {
      counts.push(tf.memory().numTensors);
      if (report.step % 10 === 0) {
        const snapshot = report.snapshot();
        expect(snapshot.step).toBe(report.step);
        expect(Object.keys(snapshot.ema ?? {})).toEqual(['w', 'b']);
        free(snapshot);
      }
    },
  });
  expect(new Set(counts).size).toBe(1);
  free(result);
  expect(tf.memory().numTensors).toBe(before);
});

test('a runtime gets the one pure step and the first state, and is disposed of at the end', async () => {
  const seen: string[] = [];
  const shapes = (tree: unknown) => tensorsOf(tree).map(({ shape }) => `[${shape}]`);
  const runtime: Runtime = {
    ...eager,
    session(step, first) {
      seen.push(shapes(first).join(' '));
      const session = eager.session((state: typeof first, inputs: never) => {
        seen.push([...shapes(state), ...shapes(inputs)].join(' '));
        return step(state, inputs);
      }, first);
      return {
        ...session,
        dispose() {
          session.dispose();
          seen.push('disposed');
        },
      };
    },
  };
  const result = await problem({ steps: 3, emaDecay: 0.9, runtime });
  // weights, m, v, average; the target; rate, epsilon, blend.
  const state = '[3] [3] [3] [3]';
  const step = `${state} [1,2] [] [] []`;
  expect(seen).toEqual([state, step, step, step, 'disposed']);
  free(result);
});

test('with decay 0 the average is the parameters', async () => {
  const result = await problem({ steps: 5, emaDecay: 0 });
  for (const [name, value] of Object.entries(result.parameters))
    (result.ema as Record<string, tf.Tensor>)[name]?.dataSync().forEach((number, i) => {
      expect(number).toBeCloseTo((value as tf.Tensor).dataSync()[i] as number, 5);
    });
  free(result);
});

test('stops at whichever limit comes first, and when told to', async () => {
  const timed = await problem({ minutes: 1e-9, steps: 1000 });
  expect(timed.losses.length).toBeLessThanOrEqual(1);
  const stop = new AbortController();
  const reports: number[] = [];
  const stopped = await problem({
    minutes: 10,
    signal: stop.signal,
    onStep({ step, progress }) {
      reports.push(progress);
      if (step === 3) stop.abort();
    },
  });
  expect(stopped.step).toBe(3);
  expect(stopped.losses).toHaveLength(3);
  expect(reports.every((progress) => progress > 0 && progress < 0.1)).toBe(true);
  const progress: number[] = [];
  const counted = await problem({ steps: 4, onStep: (report) => void progress.push(report.progress) });
  expect(progress).toEqual([0.25, 0.5, 0.75, 1]);
  free(timed, stopped, counted);
});

test('a step that is not finite changes nothing but its number, and is counted', async () => {
  const inputs = (step: number) => tf.tensor2d([[step === 2 || step === 5 ? Number.NaN : step, 0]]);
  const seen: [number, number, boolean][] = [];
  const states: Record<number, number[]> = {};
  const result = await problem({
    steps: 9,
    inputs,
    emaDecay: 0.5,
    onStep({ step, skipped, norm, snapshot }) {
      seen.push([step, skipped, Number.isFinite(norm)]);
      const { parameters, ema, optimizer, ...rest } = snapshot();
      states[step] = [parameters, ema, optimizer].flatMap((group) =>
        Object.values(flatten<tf.Tensor>(group ?? {})).flatMap((value) => [...value.dataSync()]),
      );
      tf.dispose([parameters, ema ?? {}, optimizer ?? {}] as unknown as tf.TensorContainer);
      expect(rest.losses).toHaveLength(step);
    },
  });
  expect(seen.map(([, skipped]) => skipped)).toEqual([0, 0, 1, 1, 1, 2, 2, 2, 2]);
  expect(seen.filter(([, , finite]) => !finite).map(([step]) => step)).toEqual([3, 6]);
  expect(states[3]).toEqual(states[2]);
  expect(states[6]).toEqual(states[5]);
  expect(states[4]).not.toEqual(states[3]);
  expect(result.skipped).toEqual([3, 6]);
  expect(result.losses[2]).toBeNaN();
  free(result);
});

/** How a run ends that ends by an error: the error, and the state that it hands over. */
async function stopped(more: Partial<OptimizeOptions<tf.Tensor>>) {
  let state: TrainingState | undefined;
  const onEnd = (snapshot: () => TrainingState) => {
    state = snapshot();
  };
  const error = await problem({ steps: 9, ...more, onEnd }).then(free, (error: unknown) => error);
  return { error, state };
}

const numbersIn = (state?: TrainingState) =>
  Object.entries(flatten<tf.Tensor>({ ...state?.parameters, ...state?.optimizer })).map(([path, value]) => [
    path,
    ...value.dataSync(),
  ]);

test('so many of them in a row stop the run, which hands over the last good state', async () => {
  const before = tf.memory().numTensors;
  const nan = await stopped({ skipLimit: 3, inputs: (step) => tf.tensor2d([[step < 4 ? 1 : Number.NaN, 0]]) });
  expect(nan.error).toBeInstanceOf(NonFiniteError);
  expect(String(nan.error)).toMatch(/the loss of step 7 is NaN.* 3 steps in a row .*that of step 4\./);
  expect([nan.state?.step, nan.state?.losses?.length, nan.state?.skipped]).toEqual([4, 4, []]);
  const good = await problem({ steps: 4, inputs: () => tf.tensor2d([[1, 0]]) });
  expect(numbersIn(nan.state)).toEqual(numbersIn(good));
  // A norm beyond float32 is no direction either, though the loss and each element of the gradient are finite.
  const huge = await stopped({
    skipLimit: 1,
    inputs: () => tf.tensor2d([[0, 0]]),
    loss: ({ w, b }, x) => tf.sum(tf.mul(tf.add(tf.add(tf.sum(w as tf.Tensor), b as tf.Tensor), x), 3e20)),
  });
  expect(String(huge.error)).toMatch(/is 2\.9+\d+e\+21 and its gradient's norm Infinity/);
  expect(huge.state?.step).toBe(0);
  free(good);
  disposeState(nan.state as TrainingState);
  disposeState(huge.state as TrainingState);
  expect(tf.memory().numTensors).toBe(before);
});

test('data that never comes, or comes too late, does not hold up a run that is told to stop', async () => {
  const before = tf.memory().numTensors;
  for (const late of [false, true]) {
    const stop = new AbortController();
    let give = (_: tf.Tensor) => {};
    const stopped = await problem({
      steps: 9,
      signal: stop.signal,
      inputs(step) {
        if (step < 3) return tf.tensor2d([[2, -3]]);
        setTimeout(() => stop.abort());
        return new Promise((resolve) => {
          give = resolve;
        });
      },
    });
    expect([stopped.step, stopped.losses.length]).toEqual([3, 3]);
    if (late) give(tf.zeros([2]));
    await new Promise((done) => setTimeout(done));
    free(stopped);
  }
  expect(tf.memory().numTensors).toBe(before);
});

test('whichever callback fails, the state after the last whole step is handed over', async () => {
  const before = tf.memory().numTensors;
  const inputs = () => tf.tensor2d([[2, -3]]);
  const broken = new Error('broken');
  const fail = (): never => {
    throw broken;
  };
  const common = { accumulate: 2, emaDecay: 0.9, inputs };
  const whole = await problem({ ...common, steps: 5 });
  const faults: Partial<OptimizeOptions<tf.Tensor>>[] = [
    { inputs: (step, part) => (step === 5 && part === 1 ? fail() : inputs()) },
    { inputs: async (step) => (step === 5 ? fail() : inputs()) },
    { onStep: ({ step }) => (step === 5 ? fail() : undefined) },
    // Shapes that do not fit are found while the step is made of operations, before anything has changed.
    { inputs: (step, part) => (step === 5 && part === 1 ? tf.zeros([5, 7]) : inputs()) },
  ];
  for (const runtime of [eager, native()])
    for (const fault of faults) {
      const { error, state } = await stopped({ ...common, ...fault, runtime });
      expect(String(error)).toMatch(/broken|shape/i);
      expect([state?.step, state?.losses?.length]).toEqual([5, 5]);
      const ended = state as TrainingState;
      if (runtime === eager) expect(numbersIn(ended)).toEqual(numbersIn(whole));
      disposeState(ended);
    }
  free(whole);
  expect(tf.memory().numTensors).toBe(before);
});

test('where the library fails within a step, no state is handed over', async () => {
  const torn: Runtime = {
    ...eager,
    session(step, first) {
      const session = eager.session(step, first);
      let runs = 0;
      return {
        ...session,
        run(inputs) {
          const result = session.run(inputs);
          if (++runs < 3) return result;
          tf.dispose(result as tf.TensorContainer);
          throw new Error('out of memory');
        },
      };
    },
  };
  const { error, state } = await stopped({ runtime: torn });
  expect(String(error)).toMatch(/out of memory/);
  expect(state).toBeUndefined();
});

test('a batch in four parts takes the step of the whole batch', async () => {
  // Sixteen points; the loss is not linear in them, but its mean over points is the mean of the parts' means.
  const points = Array.from({ length: 16 }, (_, i) => [Math.sin(i), Math.cos(3 * i)]);
  const run = (accumulate: number, runtime?: Runtime) =>
    problem({
      steps: 30,
      accumulate,
      emaDecay: 0.9,
      optimizer: adam({ learningRate: 0.05, clipNorm: 1 }),
      inputs: (step, part) =>
        tf.tensor2d(
          points
            .slice((16 / accumulate) * part, (16 / accumulate) * (part + 1))
            .map((p) => p.map((x) => x + step / 50)),
        ),
      loss: ({ w, b }, x) =>
        tf.mean(tf.square(tf.sub(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D, false, true), b as tf.Tensor))),
      ...(runtime ? { runtime } : {}),
    });
  const [whole, parts, graph] = [await run(1), await run(4), await run(4, native())];
  for (const other of [parts, graph])
    for (const part of ['parameters', 'ema', 'optimizer'] as const)
      for (const [path, value] of Object.entries(flatten<tf.Tensor>(whole[part] ?? {})))
        value.dataSync().forEach((number, i) => {
          const same = flatten<tf.Tensor>(other[part] ?? {})[path] as tf.Tensor;
          expect(Math.abs(number - (same.dataSync()[i] as number))).toBeLessThan(1e-6);
        });
  whole.losses.forEach((loss, i) => {
    expect(Math.abs(loss - (parts.losses[i] as number))).toBeLessThan(1e-6 * Math.max(1, loss));
  });
  free(whole, parts, graph);
});

test('a bad part spoils its whole step, and only that', async () => {
  const run = (bad: number) =>
    problem({
      steps: 5,
      accumulate: 2,
      runtime: native(),
      inputs: (step, part) => tf.tensor2d([[step === 2 && part === bad ? Number.POSITIVE_INFINITY : 1, part]]),
    });
  const [first, last] = [await run(0), await run(1)];
  expect([first.skipped, last.skipped]).toEqual([[3], [3]]);
  expect((first.parameters.w as tf.Tensor).dataSync()).toEqual((last.parameters.w as tf.Tensor).dataSync());
  expect(first.losses.filter(Number.isFinite)).toHaveLength(4);
  free(first, last);
});

test('averages by name are kept beside the first one, and gone on with', async () => {
  const options = {
    emaDecay: 0.9,
    averages: { slow: ema(0.99, { warmup: false }), fast: ema(0.5, { warmup: false }) },
  };
  const whole = await problem({ ...options, steps: 8 });
  const half = await problem({ ...options, steps: 3 });
  const rest = await problem({ ...options, from: half, steps: 8 });
  const single = await problem({ emaDecay: 0.5, steps: 8 });
  expect(Object.keys(whole.averages ?? {})).toEqual(['slow', 'fast']);
  for (const name of ['slow', 'fast']) expect(dataOf(rest.averages, name)).toEqual(dataOf(whole.averages, name));
  // The faster average is nearer to the weights.
  const distance = (name: string) =>
    tf.tidy(() =>
      tf.norm(tf.sub(whole.averages?.[name]?.w as tf.Tensor, whole.parameters.w as tf.Tensor)).dataSync(),
    )[0] as number;
  expect(distance('fast')).toBeLessThan(distance('slow'));
  await expect(problem({ ...options, from: single, steps: 9 })).rejects.toThrow(/step 8 has no average "slow"/);
  await expect(problem({ steps: 1, averages: { 'a.b': ema(0.9) } })).rejects.toThrow(/average's name is "a\.b"/);
  for (const state of [whole, half, rest, single]) disposeState(state);
});

test('an error of the caller leaves nothing behind', async () => {
  const before = tf.memory().numTensors;
  const broken = () => {
    throw new Error('no more data');
  };
  await expect(problem({ steps: 2, inputs: broken })).rejects.toThrow('no more data');
  await expect(problem({ steps: 2, loss: broken })).rejects.toThrow('no more data');
  await expect(problem({ steps: 2, onStep: broken })).rejects.toThrow('no more data');
  await expect(problem({ steps: 2, loss: ({ w }) => tf.clone(w as tf.Tensor) })).rejects.toThrow(/must be a scalar/);
  expect(tf.memory().numTensors).toBe(before);
});

test('refuses a run that cannot begin', async () => {
  const before = tf.memory().numTensors;
  const cases: [Partial<OptimizeOptions<tf.Tensor>>, RegExp][] = [
    [{}, /a run needs an end/],
    [{ steps: 0 }, /steps is 0/],
    [{ minutes: -1 }, /minutes is -1/],
    [{ steps: 1, emaDecay: 1 }, /decay is 1/],
    [{ steps: 1, parameters: {} }, /there are no parameters/],
    [{ steps: 9, from: { step: 3, parameters: { w: tf.ones([1]) } } }, /step 3 has no optimizer state/],
    [{ steps: 9, from: { step: -1, parameters: {} } }, /the step of `from` is -1/],
  ];
  for (const [more, message] of cases) {
    await expect(problem(more)).rejects.toThrow(message);
    free(more.from ?? {});
  }
  const whole = { w: tf.ones([2], 'int32') };
  await expect(problem({ steps: 1, parameters: whole })).rejects.toThrow(/"w" is int32; parameters are float32/);
  tf.dispose(whole);
  const half = await problem({ steps: 2 });
  await expect(problem({ from: half, steps: 4, emaDecay: 0.9 })).rejects.toThrow(/has no average/);
  const { m, ...less } = half.optimizer as Record<string, Record<string, tf.Tensor>>;
  const { b: _, ...rest } = m as Record<string, tf.Tensor>;
  await expect(problem({ from: { ...half, optimizer: { m: rest, ...less } as never }, steps: 4 })).rejects.toThrow(
    /missing: m\.b \[\]/,
  );
  free(half);
  expect(tf.memory().numTensors).toBe(before);
});

test('groups: a rate and a decay of their own, and frozen parameters stay as they are, bit for bit', async () => {
  const start = { w: tf.tensor2d([[0.5, -0.5]]), b: tf.scalar(5), still: tf.tensor1d([0.1, 0.2]) };
  const run = (groups: ParameterGroup[]) =>
    optimize({
      parameters: start,
      loss: ({ w, b, still }, target: tf.Tensor) =>
        tf.add(tf.sum(tf.squaredDifference(w, target)), tf.add(tf.square(tf.sub(b, 1)), tf.sum(tf.square(still)))),
      inputs: () => tf.tensor2d([[2, -3]]),
      optimizer: adam({ learningRate: 0.01, groups }),
      emaDecay: 0.9,
      steps: 3,
    });
  const numbers = (state: Awaited<ReturnType<typeof run>>, name: 'w' | 'b' | 'still') => [
    ...state.parameters[name].dataSync(),
  ];
  const plain = await run([]);
  const grouped = await run([
    { match: (path) => path === 'still', frozen: true },
    { match: (_, shape) => shape.length === 0, rate: 10 },
  ]);
  expect(numbers(grouped, 'still')).toEqual([...start.still.dataSync()]);
  expect([...(grouped.ema?.still.dataSync() ?? [])]).toEqual([...start.still.dataSync()]);
  numbers(grouped, 'w').forEach((value, i) => {
    expect(value).toBeCloseTo(numbers(plain, 'w')[i] as number, 6);
  });
  // Adam's first steps are of the rate's size, whatever the gradient.
  expect(5 - (numbers(grouped, 'b')[0] as number)).toBeCloseTo(10 * (5 - (numbers(plain, 'b')[0] as number)), 1);
  expect(numbers(plain, 'still')).not.toEqual([...start.still.dataSync()]);
  // Their state goes through a stop like any other.
  const rest = await optimize({
    from: grouped,
    loss: ({ w }, target: tf.Tensor) => tf.sum(tf.squaredDifference(w as tf.Tensor, target)),
    inputs: () => tf.tensor2d([[2, -3]]),
    optimizer: adam({ learningRate: 0.01, groups: [{ match: (path) => path === 'still', frozen: true }] }),
    emaDecay: 0.9,
    steps: 4,
  });
  expect([...(rest.parameters.still as tf.Tensor).dataSync()]).toEqual([...start.still.dataSync()]);
  await expect(run([{ match: () => true, frozen: true }])).rejects.toThrow(/all parameters are frozen/);
  for (const state of [plain, grouped, rest]) disposeState(state);
  tf.dispose(start);
});

test('a reduction stands between gradient and update: loss and gradient, one vector', async () => {
  const sizes: number[] = [];
  const halved = await problem({
    steps: 2,
    optimizer: adam({ learningRate: 0.1, epsilon: 1 }),
    reduce(vector) {
      sizes.push(vector.size);
      return tf.mul(vector, 0.5) as tf.Tensor1D;
    },
  });
  const half = await problem({
    steps: 2,
    optimizer: adam({ learningRate: 0.1, epsilon: 1 }),
    loss: ({ w, b }, target) =>
      tf.mul(tf.add(tf.sum(tf.squaredDifference(w as tf.Tensor, target)), tf.square(tf.sub(b as tf.Tensor, 1))), 0.5),
  });
  expect(sizes).toEqual([4, 4]); // the loss, w and b
  expect(halved.losses.map((loss) => loss.toFixed(4))).toEqual(half.losses.map((loss) => loss.toFixed(4)));
  expect((halved.parameters.w as tf.Tensor).dataSync()).toEqual((half.parameters.w as tf.Tensor).dataSync());
  free(halved, half);
});
