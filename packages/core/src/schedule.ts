/** A schedule: u ∈ [0, 1] → λ, decreasing. For u ~ U[0, 1] it is p(λ) in training; for u from 1 down to 0 a sampling grid. */
export type Schedule = (u: number) => number;
