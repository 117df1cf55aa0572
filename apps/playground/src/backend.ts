// Which backend computes: WebGPU, else WebGL, else WebAssembly; or the one that the address names, ?backend=wasm.
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import plain from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm.wasm?url';
import simd from '@tensorflow/tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm?url';
import { env, ready, setBackend } from '@tensorflow/tfjs-core';

export const BACKENDS = { webgpu: 'WebGPU', webgl: 'WebGL', wasm: 'WebAssembly' } as const;
export type BackendName = keyof typeof BACKENDS;

const names = Object.keys(BACKENDS) as BackendName[];

/** Whether a backend can be had here; asked before it is loaded, so that nothing fails aloud. */
const usable: Readonly<Record<BackendName, (named: boolean) => Promise<boolean>>> = {
  async webgpu() {
    const { gpu } = navigator as { gpu?: { requestAdapter(): Promise<unknown> } };
    return Boolean(await gpu?.requestAdapter().catch(() => null));
  },
  async webgl(named) {
    // A renderer in software is slower than WebAssembly, so it is taken only where it is asked for.
    const canvas = document.createElement('canvas');
    const context = canvas.getContext('webgl2', { failIfMajorPerformanceCaveat: !named });
    const exact = Boolean(context?.getExtension('EXT_color_buffer_float'));
    context?.getExtension('WEBGL_lose_context')?.loseContext();
    return exact;
  },
  wasm: async () => true,
};

const load: Readonly<Record<BackendName, () => Promise<unknown>>> = {
  webgpu: () => import('@tensorflow/tfjs-backend-webgpu'),
  webgl: () => import('@tensorflow/tfjs-backend-webgl'),
  async wasm() {
    const { setWasmPaths } = await import('@tensorflow/tfjs-backend-wasm');
    // Threads need headers that plain file servers do not send.
    env().set('WASM_HAS_MULTITHREAD_SUPPORT', false);
    setWasmPaths({
      'tfjs-backend-wasm.wasm': plain,
      'tfjs-backend-wasm-simd.wasm': simd,
      'tfjs-backend-wasm-threaded-simd.wasm': simd,
    });
  },
};

/** Starts the first backend that can be had, or the one that is asked for where it can; says which and why. */
export async function startBackend(asked: string | null): Promise<{ name: BackendName; reason: string }> {
  const wanted = names.find((name) => name === asked);
  const order = wanted ? [wanted, ...names.filter((name) => name !== wanted)] : names;
  const without: string[] = [];
  for (const name of order) {
    if (!(await usable[name](name === wanted))) without.push(BACKENDS[name]);
    else {
      await load[name]();
      if (await setBackend(name).catch(() => false)) {
        await ready();
        return { name, reason: without.length > 0 ? `this browser has no ${without.join(' and no ')}` : '' };
      }
      without.push(BACKENDS[name]);
    }
  }
  throw new Error(`none of ${names.map((name) => BACKENDS[name]).join(', ')} can be started in this browser.`);
}
