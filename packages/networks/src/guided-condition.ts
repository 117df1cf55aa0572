import { checkInteger, checkShape, flatten, type Guided, unflatten } from '@logsnr/core';
import { lambdaFeatures, linear, module, ops, type Parameters } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import type { UnetCondition } from './unet-condition.js';

/**
 * A condition with a guidance weight beside it, for a `unet` that guides in one evaluation (Meng et al. 2022, arXiv 2210.03142, section 3.1): w is
 * embedded as λ is, by sines and cosines and two linear maps, and added. The last map begins at 0, so with the parameters of a
 * teacher (see {@link guidedParameters}) the network begins as the teacher, whatever w.
 * @param condition how the network takes conditions without a weight, such as `classCondition(classes, size)`.
 * @param size of the network's embedding: `embedding` of its configuration, 4 · `base` unless given.
 * @param features how many sines and cosines; `size`/4 unless given.
 */
export function guidedCondition<C>(
  condition: UnetCondition<C>,
  size: number,
  features: number = size / 4,
): UnetCondition<Guided<C>> {
  checkInteger('features', features, 2);
  const name = condition.name ?? 'condition';
  const parts = {
    linear1: linear(features, size),
    linear2: linear(size, size, { zero: true }),
    ...({ [name]: condition.module } as { condition: typeof condition.module }),
  };
  return {
    name: 'guided',
    channels: condition.channels,
    module: module(parts, (used, { condition: { condition: c, w }, z }: { condition: Guided<C>; z: tf.Tensor4D }) => {
      const { vector, image } =
        (used as unknown as Record<string, typeof used.condition>)[name]?.({ condition: c, z }) ?? {};
      const ofWeight = used.linear2(ops.silu(used.linear1(lambdaFeatures(w, features)))) as tf.Tensor2D;
      return { vector: vector ? (tf.add(vector, ofWeight) as tf.Tensor2D) : ofWeight, image };
    }),
    check({ condition: c, w }, n) {
      condition.check?.(c, n);
      checkShape('the guidance weights', w, [n]);
    },
  };
}

/**
 * The parameters that a network with a `guidedCondition` begins with, of a teacher's: copies of them, and of `fresh` what the teacher has not. All
 * are the caller's.
 * @param fresh of the network's `init`, borrowed.
 * @throws RangeError where the teacher has a part that the network has not, or of another shape.
 */
export function guidedParameters(fresh: Parameters, teacher: Parameters): Parameters {
  const known = flatten<tf.Tensor>(teacher);
  const left = new Set(Object.keys(known));
  const chosen = Object.entries(flatten<tf.Tensor>(fresh)).map(([name, value]) => {
    const from = name.replace(/^guided\./, '');
    const given = known[from];
    left.delete(from);
    if (given) checkShape(`the teacher's ${from}`, given, value.shape);
    return [name, given ?? value] as const;
  });
  const [name] = left;
  if (name !== undefined)
    throw new RangeError(`the teacher has ${name}, which the network has not; give both the same configuration.`);
  return unflatten<tf.Tensor>(Object.fromEntries(chosen.map(([name, value]) => [name, tf.clone(value)]))) as Parameters;
}
