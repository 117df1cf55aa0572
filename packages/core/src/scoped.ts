import { tidy } from '@tensorflow/tfjs-core';

/** `tidy` for any result: of the tensors that `body` makes, those in its result are kept. tfjs's own types know few results. */
export const scoped = <T>(body: () => T): T => tidy(body as () => never);
