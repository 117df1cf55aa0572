/**
 * Turns a pure function of tensors into a faster one that gives the same values, such as `compile` of `@logsnr/tensorflow`.
 * What it returns may hold resources, which `dispose` frees.
 */
export type Compile = <A extends unknown[], R>(
  fn: (...args: A) => R,
) => ((...args: A) => R) & { readonly dispose?: (() => void) | undefined };
