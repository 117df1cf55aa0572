import type { EpsModel } from './legacy.js';

/** What one evaluation of an ε-model on n samples costs, in units of the network that it wraps evaluated on n samples. */
export interface Cost {
  /** Calls of a network, one after another: what time goes with where a device is not full. */
  readonly calls: number;
  /** Samples through a network, as a multiple of n: the arithmetic, and what time goes with where a device is full. */
  readonly evaluations: number;
  /** The largest batch of a call, as a multiple of n: what memory goes with. Above 1, predictions share a batch. */
  readonly batch: number;
  /** Calls with a backward pass: about twice their arithmetic more, and all their activations held at once. */
  readonly gradients: number;
}

/** An ε-model that says what it costs at a log-SNR, where that is known before it is called. */
export interface Costed<C> extends EpsModel<C> {
  cost(lambda: number): Cost;
}

/** One call of a network on the batch as it is. */
export const ONE_CALL: Cost = { calls: 1, evaluations: 1, batch: 1, gradients: 0 };

/** What a model costs at `lambda`: what it says itself, or one call. */
export const costAt = <C>(model: EpsModel<C> & { cost?: unknown }, lambda: number): Cost =>
  typeof model.cost === 'function' ? (model.cost as Costed<C>['cost'])(lambda) : ONE_CALL;

/** Models evaluated one after another. */
export const inTurn = (...costs: readonly Cost[]): Cost => ({
  calls: sum(costs, 'calls'),
  evaluations: sum(costs, 'evaluations'),
  batch: Math.max(...costs.map(({ batch }) => batch)),
  gradients: sum(costs, 'gradients'),
});

/** A model evaluated on `k` batches joined into one. */
export const joined = (cost: Cost, k: number): Cost => ({
  ...cost,
  evaluations: k * cost.evaluations,
  batch: k * cost.batch,
});

/** `model` with its cost. */
export const withCost = <C>(model: EpsModel<C>, cost: (lambda: number) => Cost): Costed<C> =>
  Object.assign(model, { cost });

const sum = (costs: readonly Cost[], field: keyof Cost): number =>
  costs.reduce((total, cost) => total + cost[field], 0);
