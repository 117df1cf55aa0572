/** What one call of a model on n samples costs, in units of the network that it wraps evaluated on n samples. */
export interface Cost {
  /** Calls of a network, one after another. Time grows with them on a device that is not full. */
  readonly calls: number;
  /** Samples through a network, as a multiple of n. Time grows with them on a device that is full. */
  readonly evaluations: number;
  /** The largest batch of a call, as a multiple of n. Memory grows with it. Above 1, predictions share a batch. */
  readonly batch: number;
  /** Calls with a backward pass: about twice their arithmetic more, and all their activations held at once. */
  readonly gradients: number;
}

/** One call of a network on the batch as it is. */
export const ONE_CALL: Cost = { calls: 1, evaluations: 1, batch: 1, gradients: 0 };

/** Models evaluated one after another. */
export const inTurn = (...costs: readonly Cost[]): Cost => ({
  calls: sum(costs, 'calls'),
  evaluations: sum(costs, 'evaluations'),
  batch: Math.max(0, ...costs.map(({ batch }) => batch)),
  gradients: sum(costs, 'gradients'),
});

/** A model evaluated on `k` batches joined into one. */
export const joined = (cost: Cost, k: number): Cost => ({
  ...cost,
  evaluations: k * cost.evaluations,
  batch: k * cost.batch,
});

const sum = (costs: readonly Cost[], field: keyof Cost): number =>
  costs.reduce((total, cost) => total + cost[field], 0);
