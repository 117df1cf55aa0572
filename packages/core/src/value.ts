import { add, clone, exp, mul, Tensor, tidy, zerosLike } from '@tensorflow/tfjs-core';

/** A value that says itself how it is combined, such as one that records what is done with it. */
export interface Combinable {
  /** Σ_i cᵢ vᵢ for one term or more. */
  combine(terms: readonly (readonly [coefficient: number, value: Combinable])[]): Combinable;
  /** This value times e^{a + b · exponent}. */
  scaleByExp(exponent: Combinable, a: number, b: number): Combinable;
}

/** What a sampler moves: a tensor, float64 numbers for checking its mathematics, or a record of what it does. */
export type Value = Tensor | Float64Array | Combinable;

/**
 * Σ_i cᵢ vᵢ, the one arithmetic that samplers and guidance are written in: on tensors float32 on the backend, on
 * `Float64Array`s float64. Terms of coefficient 0 are left out (so 0 · ∞ never enters) and a single term of
 * coefficient 1 is that value bit for bit.
 * @returns a new value of the terms' shape, which the caller owns.
 */
export function combine<V extends Value>(...terms: readonly [coefficient: number, value: V][]): V {
  const first = terms[0];
  if (!first) throw new RangeError('combine needs at least one term.');
  for (const [coefficient] of terms)
    if (!Number.isFinite(coefficient))
      throw new RangeError(`a coefficient is ${coefficient}; coefficients are finite.`);
  const used = terms.filter(([coefficient]) => coefficient !== 0);
  if (first[1] instanceof Tensor) return combineTensors(first[1], used as readonly [number, Tensor][]) as V;
  if (!(first[1] instanceof Float64Array))
    // A record keeps the terms of coefficient 0: steps that do the same with other numbers are then the same record.
    return first[1].combine(terms as readonly [number, Combinable][]) as V;
  const sum = new Float64Array(first[1].length);
  for (const [coefficient, value] of used as readonly [number, Float64Array][]) {
    if (value.length !== sum.length)
      throw new RangeError(`combine met ${value.length} and ${sum.length} values; lengths must agree.`);
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] as number) + coefficient * (value[i] as number);
  }
  return sum as V;
}

/**
 * value · e^{a + b · exponent}, element by element: noise whose deviation differs from value to value.
 * @returns a new value, which the caller owns.
 */
export function scaleByExp<V extends Value>(value: V, exponent: V, a: number, b: number): V {
  if (value instanceof Tensor) return tidy(() => mul(value, exp(add(mul(exponent as Tensor, b), a)))) as V;
  if (!(value instanceof Float64Array)) return value.scaleByExp(exponent as Combinable, a, b) as V;
  return value.map((each, i) => each * Math.exp(a + b * ((exponent as Float64Array)[i] as number))) as V;
}

function combineTensors(like: Tensor, terms: readonly [number, Tensor][]): Tensor {
  return tidy(() => {
    const [head, ...tail] = terms.map(([coefficient, value]) =>
      coefficient === 1 ? clone(value) : mul(value, coefficient),
    );
    return tail.reduce<Tensor>((sum, term) => add(sum, term), head ?? zerosLike(like));
  });
}
