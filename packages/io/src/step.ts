import { say } from './text-stream.js';

/** Runs one long step, with a line when it begins and one with the seconds it took. Lines go to stderr. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  say(`${what} …`);
  const result = await work();
  say(`${what}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}
