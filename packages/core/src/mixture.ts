import * as tf from '@tensorflow/tfjs-core';
import { checkAbove, checkFinite, checkInteger, checkShape } from './check.js';
import { ONE_CALL } from './cost.js';
import { alphaSigma, sigma, sigmoid } from './log-snr.js';
import { defineModel, type Model } from './model.js';

/** One isotropic Gaussian of a mixture: `weight` > 0 (relative), `mean`, standard deviation `std` > 0, and its class. */
export interface Component {
  weight?: number;
  mean: readonly number[];
  std: number;
  /** Class label; by default the component's own number. */
  label?: number;
}

/** A Gaussian mixture in closed form: the exact ε that a perfect network would learn. */
export interface GaussianMixture {
  readonly dimensions: number;
  readonly classes: number;
  /** The exact x̂ = E[x|z] and ε̂ on tensors: z [n, d], labels int32 [n]; the label `classes` is ∅, the whole mixture. */
  readonly model: Model<tf.Tensor1D>;
  /** log p(label | z_λ) on tensors, [n], the exact noise-aware classifier: differentiable in z. */
  readonly logPosterior: (z: tf.Tensor, lambda: tf.Tensor1D, label: tf.Tensor1D) => tf.Tensor1D;
  /** ε(z_λ) = −σ ∇ log p(z_λ | label) in float64; without a label that of the whole mixture. */
  eps(z: ArrayLike<number>, lambda: number, label?: number): Float64Array;
  /** log p(z_λ | label) in float64, in nats. */
  logDensity(z: ArrayLike<number>, lambda: number, label?: number): number;
  /** Mean and covariance (row-major d×d) of the data, of one class or of all. */
  moments(label?: number): { mean: Float64Array; covariance: Float64Array };
}

/**
 * p(x) = Σ_k π_k N(x; μ_k, s_k² I), for which q(z_λ) = Σ_k π_k N(α μ_k, (α² s_k² + σ²) I) and hence
 * ε(z) = −σ ∇ log q(z) = σ Σ_k r_k(z) (z − α μ_k)/(α² s_k² + σ²), with responsibilities r. Given a class, the sums run
 * over the components of that class.
 * @throws RangeError on an empty mixture, means of unequal lengths, or a weight or std that is not positive.
 */
export function gaussianMixture(components: readonly Component[]): GaussianMixture {
  const parts = components.map((part, i) => ({ weight: 1, label: i, ...part }));
  const dimensions = parts[0]?.mean.length ?? 0;
  if (dimensions === 0)
    throw new RangeError('a mixture needs at least one component with a mean of at least one number.');
  parts.forEach(({ weight, mean, std, label }, i) => {
    if (mean.length !== dimensions)
      throw new RangeError(`the mean of component ${i} has ${mean.length} numbers; the first one has ${dimensions}.`);
    for (const value of mean) checkFinite(`the mean of component ${i}`, value);
    for (const [what, value] of Object.entries({ weight, std })) checkAbove(`the ${what} of component ${i}`, value);
    checkInteger(`the label of component ${i}`, label);
  });
  const classes = Math.max(...parts.map((part) => part.label)) + 1;
  const members = (label?: number) => {
    const chosen = parts.filter((part) => label === undefined || part.label === label);
    if (chosen.length === 0)
      throw new RangeError(`no component has label ${label}; labels are integers in [0, ${classes - 1}].`);
    const total = sumOf(chosen, (part) => part.weight);
    return chosen.map((part) => ({ ...part, weight: part.weight / total }));
  };

  const terms = (z: ArrayLike<number>, lambda: number, label?: number) => {
    if (z.length !== dimensions)
      throw new RangeError(`z has ${z.length} numbers; the mixture has ${dimensions} dimensions.`);
    const a = Math.sqrt(sigmoid(lambda));
    return members(label).map((part) => {
      const variance = sigmoid(lambda) * part.std ** 2 + sigmoid(-lambda);
      const offset = Float64Array.from(part.mean, (mean, i) => (z[i] as number) - a * mean);
      const square = offset.reduce((sum, value) => sum + value * value, 0);
      const log = Math.log(part.weight) - (dimensions / 2) * Math.log(2 * Math.PI * variance) - square / (2 * variance);
      return { variance, offset, log };
    });
  };
  const logSum = (logs: readonly number[]) => {
    const top = Math.max(...logs);
    return top + Math.log(sumOf(logs, (log) => Math.exp(log - top)));
  };

  return {
    dimensions,
    classes,
    ...onTensors(parts, classes),
    logDensity: (z, lambda, label) => logSum(terms(z, lambda, label).map((term) => term.log)),
    eps(z, lambda, label) {
      const all = terms(z, lambda, label);
      const total = logSum(all.map((term) => term.log));
      const shares = all.map(({ variance, log }) => (sigma(lambda) * Math.exp(log - total)) / variance);
      return vector(dimensions, (i) => sumOf(all, ({ offset }, k) => (shares[k] as number) * (offset[i] as number)));
    },
    moments(label) {
      const chosen = members(label);
      const mean = vector(dimensions, (i) => sumOf(chosen, (part) => part.weight * (part.mean[i] as number)));
      const covariance = vector(dimensions ** 2, (at) => {
        const [i, j] = [Math.floor(at / dimensions), at % dimensions];
        return sumOf(chosen, ({ weight, mean: own, std }) => {
          const spread = ((own[i] as number) - (mean[i] as number)) * ((own[j] as number) - (mean[j] as number));
          return weight * (spread + (i === j ? std ** 2 : 0));
        });
      });
      return { mean, covariance };
    },
  };
}

const vector = (length: number, of: (i: number) => number): Float64Array =>
  Float64Array.from({ length }, (_, i) => of(i));
const sumOf = <T>(items: readonly T[], of: (item: T, k: number) => number): number =>
  items.reduce((sum, item, k) => sum + of(item, k), 0);

function onTensors(
  parts: readonly Required<Component>[],
  classes: number,
): Pick<GaussianMixture, 'model' | 'logPosterior'> {
  const dimensions = (parts[0] as Required<Component>).mean.length;
  // Row c of the table holds ln π_k for the components of class c, and a number that exp() takes to 0 for the others.
  const rows = Array.from({ length: classes + 1 }, (_, c) =>
    parts.map((part) => (c === classes || part.label === c ? Math.log(part.weight) : -1e9)),
  );
  const check = (z: tf.Tensor, lambda: tf.Tensor1D, label: tf.Tensor1D) => {
    checkShape('z', z, [null, dimensions]);
    checkShape('lambda', lambda, [z.shape[0] ?? null]);
    checkShape('label', label, [z.shape[0] ?? null]);
  };
  /** Of each sample and component: z − α μ, its variance, and ln N without the parts that all components share. */
  const terms = (z: tf.Tensor, lambda: tf.Tensor1D) => {
    const n = z.shape[0] as number;
    const { alpha, sigma } = alphaSigma(lambda);
    const [a, s] = [tf.reshape(alpha, [n, 1]), tf.reshape(sigma, [n, 1])];
    const means = tf.tensor2d(parts.map((part) => [...part.mean]));
    const stds = tf.tensor1d(parts.map((part) => part.std));
    const variance = tf.add(tf.square(tf.mul(a, stds)), tf.square(s)); // [n, K]
    const offset = tf.sub(tf.expandDims(z, 1), tf.mul(tf.expandDims(a, 2), means)); // [n, K, d]
    const square = tf.sum(tf.square(offset), 2);
    const densities = tf.neg(tf.add(tf.mul(tf.log(variance), dimensions / 2), tf.div(square, tf.mul(variance, 2))));
    return { a, s, means, stds, variance, offset, densities };
  };
  /** ln π_k of the label's components, [n, K]. By a product, not by gather, whose kernel reads the labels and so could not be compiled. */
  const weights = (label: tf.Tensor1D) =>
    tf.matMul(tf.cast(tf.oneHot(label, classes + 1), 'float32') as tf.Tensor2D, tf.tensor2d(rows));

  return {
    model: defineModel({
      predict(z, lambda, label) {
        check(z, lambda, label);
        const { a, s, means, stds, variance, offset, densities } = terms(z, lambda);
        const share = tf.div(tf.softmax(tf.add(weights(label), densities)), variance); // r_k/(α² s_k² + σ²)
        const eps = tf.sum(tf.mul(offset, tf.expandDims(tf.mul(share, s), 2)), 1);
        // E[x|z] = Σ r_k (σ² μ_k + α s_k² z)/(α² s_k² + σ²): of positive parts, so it keeps its digits at any λ.
        const fromZ = tf.mul(z, tf.mul(a, tf.sum(tf.mul(share, tf.square(stds)), 1, true)));
        return { x: tf.add(tf.mul(tf.square(s), tf.matMul(share as tf.Tensor2D, means)), fromZ), eps };
      },
      cost: () => ONE_CALL,
    }),
    logPosterior(z, lambda, label) {
      check(z, lambda, label);
      return tf.tidy(() => {
        const { densities } = terms(z, lambda);
        const all = tf.fill(label.shape, classes, 'int32') as tf.Tensor1D;
        const of = (chosen: tf.Tensor1D) => tf.logSumExp(tf.add(weights(chosen), densities), 1);
        return tf.sub(of(label), of(all)) as tf.Tensor1D;
      });
    },
  };
}
