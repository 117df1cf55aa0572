import { scoped } from './scoped.js';
import { free, mapTensors } from './tree.js';

/** A function that was made faster. What it holds is freed by `dispose`; called after that, it prepares itself anew. */
export interface Jitted<A extends unknown[], R> {
  (...args: A): R;
  dispose(): void;
}

/** A pure step of a state: it borrows both arguments, and returns the next state, of the same shapes, and a result. */
export type SessionStep<S, I, R> = (state: S, inputs: I) => { state: S; result: R };

/** A step and the state that it works on, which stays where the step runs. */
export interface Session<S, I, R> {
  /** One step. Borrows the inputs; the result is the caller's. */
  run(inputs: I): R;
  /** A copy of the state, the caller's own. */
  read(): S;
  /** Replaces the state by a copy of `state`, which must have the structure and shapes of the first. */
  write(state: S): void;
  dispose(): void;
}

/** Where functions run: operation by operation (`eager`), or as graphs (`native` of `@logsnr/tensorflow`). */
export interface Runtime {
  /**
   * `fn`, faster, with the same values. It is a pure function of its arguments: tensors, or plain objects and arrays with
   * tensors in them; other values among them count as constants. Arguments are borrowed, the result is the caller's, and
   * what else `fn` makes is freed.
   */
  jit<A extends unknown[], R>(fn: (...args: A) => R): Jitted<A, R>;
  /** A session that begins with a copy of `first`, a tree of tensors. */
  session<S, I, R>(step: SessionStep<S, I, R>, first: S): Session<S, I, R>;
}

/** Operation by operation, on the current backend. */
export const eager: Runtime = {
  jit<A extends unknown[], R>(fn: (...args: A) => R): Jitted<A, R> {
    // A clone of each result, as an argument or a closed-over tensor may be among them; all others are freed.
    const call = (...args: A) => scoped(() => mapTensors(fn(...args), (tensor) => tensor.clone()));
    return Object.assign(call, { dispose() {} });
  },
  session<S, I, R>(step: SessionStep<S, I, R>, first: S): Session<S, I, R> {
    const copy = (state: S): S => mapTensors(state, (tensor) => tensor.clone());
    let state: S | undefined = copy(first);
    const open = (): S => {
      if (state === undefined) throw new Error('this session has been disposed.');
      return state;
    };
    return {
      run(inputs) {
        const next = step(open(), inputs);
        free(open());
        state = next.state;
        return next.result;
      },
      read: () => copy(open()),
      write(given) {
        const before = open();
        state = copy(given);
        free(before);
      },
      dispose() {
        if (state !== undefined) free(state);
        state = undefined;
      },
    };
  },
};
