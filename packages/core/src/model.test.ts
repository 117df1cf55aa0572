import {
  add,
  memory,
  mul,
  scalar,
  type Tensor,
  tensor1d,
  tensor2d,
  tensor3d,
  tidy,
  zeros,
} from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { expectNoLeak } from '../../../test/no-leak.js';
import {
  alpha,
  combine,
  convert,
  defineModel,
  derive,
  type EpsFunction,
  embeddings,
  epsOf,
  inTurn,
  labels,
  type Model,
  memoryOf,
  ONE_CALL,
  type Prediction,
  readModel,
  scaleByExp,
  sigma,
  toModel,
  withCondition,
} from './index.js';

const [x, eps] = [0.7, -1.3];
const truth = (lambda: number) => {
  const [a, s] = [alpha(lambda), sigma(lambda)];
  return { z: a * x + s * eps, eps, x, v: a * eps - s * x, score: -eps / s };
};
const predictions: Prediction[] = ['eps', 'x', 'v', 'score'];

describe('convert', () => {
  test.each(predictions.flatMap((from) => predictions.map((to) => [from, to] as const)))('%s → %s', (from, to) => {
    for (const lambda of [-6, -1, 0, 2, 6]) {
      const value = truth(lambda);
      const { z, output } = convert(from, to, lambda);
      expect(Math.abs(z * value.z + output * value[from] - value[to])).toBeLessThan(1e-11);
    }
  });

  test('x from v stays accurate where x from ε cannot', () => {
    const { z, output } = convert('v', 'x', -40);
    expect(z * truth(-40).z + output * truth(-40).v).toBeCloseTo(x, 12);
  });

  test('refuses what it does not know', () => {
    expect(() => convert('eps', 'noise' as Prediction, 0)).toThrow(/"eps", "x", "v" and "score"/);
  });
});

describe('readModel', () => {
  test.each(predictions)('makes x̂ and ε̂ of %s for every sample’s own λ', (prediction) => {
    const lambdas = [-4, 0, 3];
    const z = tensor2d(lambdas.map((lambda) => [truth(lambda).z]));
    const output: EpsFunction<null> = () => tensor2d(lambdas.map((lambda) => [truth(lambda)[prediction]]));
    const lambda = tensor1d(lambdas);
    const model = readModel(output, { prediction });
    const made = model.predict(z, lambda, null, null);
    for (const value of made.eps.dataSync()) expect(value).toBeCloseTo(eps, 5);
    for (const value of made.x.dataSync()) expect(value).toBeCloseTo(x, 4);
    expect([made.renoise, made.variance, made.memory, model.cost(0)]).toEqual([null, null, null, ONE_CALL]);
    expectNoLeak(() => ({ ...model.predict(z, lambda, null, null) }) as never);
  });

  test('x̂ of a network that predicts v or x keeps its digits where x̂ from ε has none', () => {
    const lambda = tensor1d([-38]);
    const z = tensor2d([[truth(-38).z]]);
    const xOf = (prediction: Prediction) =>
      readModel(() => tensor2d([[truth(-38)[prediction]]]), { prediction })
        .predict(z, lambda, null, null)
        .x.dataSync()[0];
    for (const prediction of ['v', 'x'] as const) expect(xOf(prediction)).toBeCloseTo(x, 6);
    expect(Math.abs((xOf('eps') as number) - x)).toBeGreaterThan(0.05);
  });

  test('a learned variance is passed on', () => {
    const model = readModel<null>((z) => ({ output: z.clone(), variance: mul(z, 0.5) }), { variance: true });
    expect(model.gives).toEqual({ renoise: false, variance: true });
    expect(model.predict(tensor2d([[3]]), tensor1d([0]), null, null).variance?.dataSync()[0]).toBe(1.5);
  });

  test('refuses an unknown prediction, λ of another length and an output of another shape', () => {
    const output: EpsFunction<null> = (z) => z.clone();
    expect(() => readModel(output, { prediction: 'noise' as Prediction })).toThrow(/prediction is "noise"/);
    const [z, two] = [tensor2d([[1]]), tensor1d([0, 1])];
    expect(() => readModel(output).predict(z, two, null, null)).toThrow('lambda has shape [2]; it must be [1]');
    const wide = readModel<null>(() => tensor2d([[1, 2]]));
    expect(() => wide.predict(z, tensor1d([0]), null, null)).toThrow("the model's output has shape [1, 2]");
  });
});

describe('defineModel and derive', () => {
  const z = tensor2d([[1], [2]]);
  const lambda = tensor1d([0, 0]);
  const same = (z: Tensor) => ({ x: z.clone(), eps: z.clone() });
  /** Counts its calls in its memory. */
  const counting = defineModel<null>({
    predict: (z, _lambda, _condition, memory) => ({ ...same(z), memory: add(memory as Tensor, 1) }),
    cost: () => ONE_CALL,
    start: (n) => zeros([n]),
  });

  test('a part that `gives` does not name, or that does not come, is refused', () => {
    const more = defineModel<null>({ predict: (z) => ({ ...same(z), variance: z.clone() }), cost: () => ONE_CALL });
    expect(() => more.predict(z, lambda, null, null)).toThrow('gives a variance, against');
    const less = defineModel<null>({ predict: same, cost: () => ONE_CALL, gives: { renoise: true } });
    expect(() => less.predict(z, lambda, null, null)).toThrow('gives no renoise, against');
    expect(() =>
      defineModel<null>({ predict: (z) => ({ x: z, eps: zeros([3]) }), cost: () => ONE_CALL }).predict(
        z,
        lambda,
        null,
        null,
      ),
    ).toThrow("the model's eps has shape [3]");
  });

  test('memory goes from call to call; what wraps keeps it', () => {
    const wrapped = withCondition<null, string>(counting, () => null);
    let memory = wrapped.start(2, [1]);
    for (let call = 0; call < 3; call++) memory = wrapped.predict(z, lambda, 'any', memory).memory;
    expect([...(memory as Tensor).dataSync()]).toEqual([3, 3]);
    const two = derive<[Model<null>, Model<null>], null>([counting, counting], ([a, b]) => ({
      predict(z, lambda, condition, memory) {
        const first = a.predict(z, lambda, condition, memoryOf(memory, 0));
        return { ...first, memory: [first.memory, memoryOf(memory, 1)] };
      },
      cost: (lambda) => inTurn(a.cost(lambda), b.cost(lambda)),
    }));
    const after = two.predict(z, lambda, null, two.start(2, [1])).memory;
    expect([0, 1].map((i) => [...(memoryOf(after, i) as Tensor).dataSync()])).toEqual([
      [1, 1],
      [0, 0],
    ]);
    expect(two.cost(0).calls).toBe(2);
  });

  test('variants at a λ are made of the models’ own, and are the same object for the same answer', () => {
    const low = defineModel<null>({ predict: same, cost: () => ({ ...ONE_CALL, calls: 7 }) });
    const inner: Model<null> = defineModel<null>({
      predict: same,
      cost: () => ONE_CALL,
      at: (lambda): Model<null> => (lambda < 0 ? low : inner),
    });
    const outer = withCondition<null, null>(inner, () => null);
    expect(outer.at(1)).toBe(outer);
    expect(outer.at(-1)).toBe(outer.at(-2));
    expect([outer.cost(0).calls, outer.at(-1).cost(0).calls]).toEqual([1, 7]);
    expect(outer.at(-1).at(-3)).toBe(outer.at(-1));
  });

  test('toModel takes a model as it is and a function as ε̂', () => {
    expect(toModel(counting)).toBe(counting);
    expect([...epsOf((z: Tensor) => mul(z, 3))(z, lambda, null).dataSync()]).toEqual([3, 6]);
    expectNoLeak(() => epsOf(counting)(z, lambda, null));
  });
});

describe('labels', () => {
  const classes = labels(10);

  test('∅ is the label after the last', () => {
    const c = classes.of([3, 9, 0]);
    expect([...classes.drop(c, tensor1d([0, 1, 0])).dataSync()]).toEqual([3, 10, 0]);
    expect([...classes.nullCondition(c).dataSync()]).toEqual([10, 10, 10]);
    expect([...classes.concat(c, classes.nullCondition(c)).dataSync()]).toEqual([3, 9, 0, 10, 10, 10]);
    expect(classes.drop(c, tensor1d([1, 1, 1])).dtype).toBe('int32');
    for (const make of [
      () => classes.drop(c, tensor1d([0, 1, 0])),
      () => classes.nullCondition(c),
      () => classes.of([1]),
    ]) {
      if (make().dtype !== 'int32') throw new Error('labels are int32');
    }
  });

  test('a label out of range, or none, is refused', () => {
    expect(() => classes.of([3, 10])).toThrow(
      'label 10 at position 1 is out of range; it must be an integer in [0, 9].',
    );
    expect(() => classes.of([Number.NaN])).toThrow(/label NaN at position 0/);
    expect(() => classes.of([1.5])).toThrow(/label 1.5/);
    expect(() => labels(0)).toThrow(/classes is 0/);
    expect(() => classes.drop(classes.of([1]), tensor1d([0, 1]))).toThrow(/mask has shape \[2\]/);
  });

  test('floats, a plain array and another count are refused by name', () => {
    const floats = tensor1d([1, 2]);
    expect(() => classes.nullCondition(floats)).toThrow('the labels have type float32; they are int32');
    expect(() => classes.drop(floats, tensor1d([0, 1]))).toThrow(/type float32/);
    expect(() => classes.check?.([1, 2] as never, 2)).toThrow(/the labels are no tensor; make one with labels/);
    expect(() => classes.check?.(classes.of([1, 2, 3]), 2)).toThrow('the labels has shape [3]; it must be [2].');
    expect([...classes.null(3).dataSync()]).toEqual([10, 10, 10]);
    expect(() => classes.null(0)).toThrow(/n is 0/);
  });

  test('∅ may be another label, or none', () => {
    const zero = labels(10, { nullLabel: 0 });
    const c = zero.of([3, 9]);
    expect([...zero.drop(c, tensor1d([0, 1])).dataSync(), ...zero.null(1).dataSync()]).toEqual([3, 0, 0]);
    expect([zero.nullLabel, classes.nullLabel]).toEqual([0, 10]);
    const none = labels(10, { nullLabel: null });
    expect([...none.concat(c, none.of([9])).dataSync()]).toEqual([3, 9, 9]);
    const before = memory().numTensors;
    for (const ask of [() => none.null(2), () => none.nullCondition(c), () => none.drop(c, tensor1d([0, 0]))])
      expect(() => tidy(ask)).toThrow(/there is no ∅ among these labels.*classifierGuidance, autoguidance/);
    expect(memory().numTensors).toBe(before);
    expect(() => labels(10, { nullLabel: 11 })).toThrow('nullLabel is 11; it must be an integer from 0 to 10.');
  });

  test('leaks nothing', () => {
    const c = classes.of([3, 9]);
    const mask = tensor1d([0, 1]);
    expectNoLeak(() => [classes.of([1]), classes.drop(c, mask), classes.nullCondition(c), classes.concat(c, c)]);
  });
});

describe('combine', () => {
  test('is the weighted sum, on tensors and on float64 numbers', () => {
    expect([...combine([2, Float64Array.of(1, 2)], [-0.5, Float64Array.of(4, 0)])]).toEqual([0, 4]);
    expect([...combine([2, tensor1d([1, 2])], [-0.5, tensor1d([4, 0])]).dataSync()]).toEqual([0, 4]);
  });

  test('a coefficient of 0 keeps infinities out, and 1 alone is the value bit for bit', () => {
    expect([...combine([1, Float64Array.of(0.1)], [0, Float64Array.of(Number.POSITIVE_INFINITY)])]).toEqual([0.1]);
    expect([...combine([0, Float64Array.of(3)])]).toEqual([0]);
    const value = tensor1d([0.1, Number.MIN_VALUE]);
    expect([...combine([1, value], [0, value]).dataSync()]).toEqual([...value.dataSync()]);
    expect([...combine([0, value]).dataSync()]).toEqual([0, 0]);
  });

  test('scaleByExp is value · e^{a + b · exponent} on both', () => {
    const expected = [2 * Math.exp(0.1), -1 * Math.exp(0.1 - 0.6)];
    scaleByExp(Float64Array.of(2, -1), Float64Array.of(0, 2), 0.1, -0.3).forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i] as number, 12);
    });
    scaleByExp(tensor1d([2, -1]), tensor1d([0, 2]), 0.1, -0.3)
      .dataSync()
      .forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i] as number, 5);
      });
    const one = tensor1d([1]);
    expectNoLeak(() => scaleByExp(one, one, 0, 1));
  });

  test('the result is always the caller’s own', () => {
    const value = tensor1d([1]);
    expectNoLeak(() => combine([1, value]));
    expectNoLeak(() => combine([0, value]));
    expectNoLeak(() => combine([0.5, value], [2, value], [1, value]));
    const numbers = Float64Array.of(1);
    expect(combine([1, numbers])).not.toBe(numbers);
  });

  test('refuses coefficients that are not finite and lengths that differ', () => {
    expect(() => combine([Number.NaN, Float64Array.of(1)])).toThrow(/a coefficient is NaN/);
    expect(() => combine([1, Float64Array.of(1)], [1, Float64Array.of(1, 2)])).toThrow(/lengths must agree/);
  });
});

describe('embeddings', () => {
  type Texts = Readonly<Record<'tokens' | 'pooled', Tensor>>;
  const texts = embeddings<Texts>({ tokens: tensor2d([[0, 0.5]]), pooled: scalar(9) });
  const given = (): Texts => ({ tokens: tensor3d([[[1, 2]]]), pooled: tensor1d([3]) });
  const numbers = (c: Texts) => [...c.tokens.dataSync(), ...c.pooled.dataSync()];

  test('∅ stands in every tensor of a tree', () => {
    const two = texts.concat(given(), given());
    expect(numbers(two)).toEqual([1, 2, 1, 2, 3, 3]);
    expect(numbers(texts.drop(two, tensor1d([0, 1])))).toEqual([1, 2, 0, 0.5, 3, 9]);
    expect(numbers(texts.nullCondition(two))).toEqual([0, 0.5, 0, 0.5, 9, 9]);
    expectNoLeak(() => Object.values(texts.nullCondition(two)));
    const mask = tensor1d([0, 1]);
    expectNoLeak(() => Object.values(texts.drop(two, mask)));
  });

  test('other shapes are refused', () => {
    const { tokens } = given();
    expect(() => texts.check?.({ tokens } as never, 1)).toThrow(
      'the condition has 1 tensors; it must have 2, as ∅ has.',
    );
    expect(() => texts.check?.(given(), 2)).toThrow('the condition has shape [1, 1, 2]; it must be [2, 1, 2].');
    expect(() => texts.drop(given(), tensor1d([0, 1]))).toThrow('mask has shape [2]; it must be [1].');
    expect(() => embeddings({})).toThrow('none has no tensor');
  });
});
