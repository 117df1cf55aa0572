/** Thrown where so many steps in a row had to be skipped that going on is no use. */
export class NonFiniteError extends Error {
  override readonly name = 'NonFiniteError';

  constructor(step: number, row: number, loss: number, norm: number) {
    super(
      `the loss of step ${step} is ${loss} and its gradient's norm ${norm}; ${row === 1 ? 'the step was' : `${row} steps in a row were`} skipped, so training stopped. The last good state is that of step ${step - row}. Lower the learning rate or lengthen its warm-up, clip the gradients (clipNorm), and check that the inputs of step index ${step - 1} are finite.`,
    );
  }
}
