import { flatten, isBranch, mapTensors, tensorsOf, unflatten } from '@logsnr/core';
import type { Context, Module, Parameters } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { expect } from 'vitest';
import { random, randomised } from './modules.js';

interface SlopeOptions {
  /** Parameters to check. Default all, and every tensor of float32 in the input. */
  readonly names?: readonly string[] | undefined;
  readonly context?: Context | undefined;
  /** How far to go along a gradient. Default 0.01. */
  readonly step?: number | undefined;
}

/**
 * Holds the gradients of a weighted sum of a module's output to finite differences along them: the derivative along a gradient
 * is its norm, one number that each of its entries counts in.
 */
export function expectSlopes<I>(
  module: Module<I, tf.Tensor>,
  input: I,
  { names, context, step = 1e-2 }: SlopeOptions = {},
): void {
  tf.tidy(() => {
    const parameters = flatten<tf.Tensor>(randomised(module));
    const floats = tensorsOf(input).filter(({ dtype }) => dtype === 'float32');
    const paths = names ?? Object.keys(parameters);
    const chosen = [...paths.map((name) => parameters[name] as tf.Tensor), ...(names ? [] : floats)];
    const value = (...at: tf.Tensor[]): tf.Scalar => {
      const own = { ...parameters, ...Object.fromEntries(paths.map((name, i) => [name, at[i]])) };
      const replaced = mapTensors(isBranch(input) ? input : [input], (tensor) => {
        const i = floats.indexOf(tensor);
        return names || i < 0 ? tensor : (at[paths.length + i] as tf.Tensor);
      });
      const given = (isBranch(input) ? replaced : (replaced as [I])[0]) as I;
      const y = module.apply(unflatten(own as Record<string, tf.Tensor>) as Parameters, given, context);
      return tf.sum(tf.mul(y, random(7, ...y.shape)));
    };
    tf.grads(value)(chosen).forEach((gradient, which) => {
      const what = paths[which] ?? `input ${which - paths.length}`;
      const length = tf.norm(gradient).dataSync()[0] as number;
      const moved = (by: number): number =>
        tf.tidy(() => {
          const at = chosen.map((t, i) => (i === which ? tf.add(t, tf.mul(gradient, by / length)) : t));
          return value(...at).dataSync()[0] as number;
        });
      const slope = (8 * (moved(step) - moved(-step)) - (moved(2 * step) - moved(-2 * step))) / (12 * step);
      expect(Math.abs(slope - length) / length, what).toBeLessThan(1e-2);
    });
  });
}
