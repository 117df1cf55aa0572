import { say } from '@logsnr/io/node';
import { setBackend } from '@tensorflow/tfjs-core';
import { install } from './install.js';
import { type NativeOptions, registerTensorflow } from './native.js';
import { type BackendName, chooseBackends, type Device } from './plan.js';
import { useCpu, useWasm } from './portable.js';
import { Unavailable } from './unavailable.js';

/** The backend in use. */
export interface BackendInfo {
  backend: BackendName;
  /** The TensorFlow library's release; null for the other backends. */
  tensorflow: string | null;
  device: Device;
  /** Threads the backend computes with. */
  threads: number;
  /** Why a backend that comes first in the order is not the one, and what to do; null where the first one is used. */
  reason: string | null;
}

/** How `useBackend` chooses. */
export interface BackendOptions extends NativeOptions {
  /** Use this one or throw; overrides LOGSNR_BACKEND. */
  backend?: BackendName;
  /** Do not print the choice. */
  quiet?: boolean;
  /** Install what the native backend lacks first: a download of some 270 MB and a short compilation. */
  install?: boolean;
}

let current: BackendInfo | undefined;
let queue: Promise<unknown> = Promise.resolve();

/** What `useBackend` chose, or null where it was not called yet. */
export const backendInfo = (): BackendInfo | null => current ?? null;

/**
 * Makes the best backend of TensorFlow.js the current one: the native TensorFlow library, else WebAssembly, else plain
 * JavaScript; or the one that is named. Prints the choice once, in one line, to stderr. Called again, it returns the
 * same, unless another backend is named.
 *
 * It uses a library that is there, and installs one only with `install: true`.
 * @throws RangeError on an unknown backend or device.
 * @throws Unavailable when the one that is named cannot be used; the message says why.
 */
export function useBackend(options: BackendOptions | BackendName = {}): Promise<BackendInfo> {
  const given = typeof options === 'string' ? { backend: options } : options;
  const turn = queue.then(() => choose(given));
  queue = turn.catch(() => undefined);
  return turn;
}

async function choose(options: BackendOptions): Promise<BackendInfo> {
  const order = chooseBackends(options.backend ?? process.env.LOGSNR_BACKEND);
  if (current && (order.length > 1 || order[0] === current.backend)) return current;
  let reason: string | null = null;
  for (const backend of order) {
    try {
      current = { ...(await start(backend, options)), reason };
      if (!options.quiet) say(describe(current));
      return current;
    } catch (error) {
      if (order.length === 1 || error instanceof RangeError) throw error;
      reason ??= reasonOf(error as Error);
    }
  }
  throw new Error(`no backend can be used: ${reason}`);
}

const reasonOf = (error: Error): string =>
  error instanceof Unavailable && error.todo !== undefined
    ? error.message
    : `${error.message}; run "npx logsnr-tensorflow doctor"`;

async function start(backend: BackendName, options: BackendOptions): Promise<Omit<BackendInfo, 'reason'>> {
  if (backend === 'tensorflow') {
    if (options.install) await install(options);
    const { version, device, threads } = await registerTensorflow(options);
    await setBackend('tensorflow');
    return { backend, tensorflow: version, device, threads };
  }
  await (backend === 'wasm' ? useWasm() : useCpu());
  return { backend, tensorflow: null, device: 'cpu', threads: 1 };
}

/** The choice in one line. */
export function describe({ backend, tensorflow, device, threads, reason }: BackendInfo): string {
  if (backend === 'tensorflow') {
    const where = device === 'cuda' ? 'cuda' : `cpu, ${threads} thread${threads === 1 ? '' : 's'}`;
    return `backend: tensorflow ${tensorflow} (${where})`;
  }
  const why = reason && ` — native TensorFlow not available: ${reason}`;
  return `backend: ${backend}${why ?? ''}`;
}
