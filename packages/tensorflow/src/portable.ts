import { createRequire } from 'node:module';
import { dirname, join, sep } from 'node:path';
import { env, findBackend, setBackend } from '@tensorflow/tfjs-core';
import { stock } from './binding.js';
import { Unavailable } from './unavailable.js';

const require = createRequire(import.meta.url);

/** Registers the gradients of all kernels, and tensors' methods, which tfjs-core has only as modules for bundlers. */
export function registerGradients(): void {
  require(join(stock, 'gradients.cjs'));
}

/**
 * Loads WebAssembly from the installed package and makes it the current backend, with one thread: in Node the package
 * gets no second one even where it is allowed to.
 */
export async function useWasm(): Promise<void> {
  registerGradients();
  const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
  env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
  const main = require.resolve('@tensorflow/tfjs-backend-wasm/package.json');
  setWasmPaths(join(dirname(main), 'dist') + sep);
  if (!(await setBackend('wasm'))) throw new Unavailable('WebAssembly could not be started');
}

/** Loads the backend in plain JavaScript, which runs anywhere, and makes it the current one. */
export async function useCpu(): Promise<void> {
  registerGradients();
  await import('@tensorflow/tfjs-backend-cpu');
  if (!(await setBackend('cpu'))) throw new Unavailable('the backend "cpu" could not be started');
  // Else its first tensor prints an advertisement of the native package that is not used here.
  const cpu = findBackend('cpu') as { firstUse?: boolean } | null;
  if (cpu) cpu.firstUse = false;
}
