import type { Runtime } from '@logsnr/core';
import { compile } from './compile.js';
import type { CompileOptions } from './graphs.js';
import { session } from './session.js';

/** Functions and sessions as TensorFlow graphs: `compile` and `session` with the same options. */
export const native = (options: CompileOptions = {}): Runtime => ({
  jit: (fn) => compile(fn, options),
  session: (step, first) => session(step, first, options),
});
