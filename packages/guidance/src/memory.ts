import { isBranch, type Memory } from '@logsnr/core';
import { concat, Tensor } from '@tensorflow/tfjs-core';

/** Memories of one structure joined along the batch. */
export function joinMemories(memories: readonly Memory[]): Memory {
  const [first] = memories;
  if (first instanceof Tensor) return concat(memories as Tensor[]);
  if (!isBranch(first)) return null;
  const member = (name: string): Memory =>
    joinMemories(memories.map((memory) => (memory as Record<string, Memory>)[name] ?? null));
  if (Array.isArray(first)) return first.map((_, i) => member(String(i)));
  return Object.fromEntries(Object.keys(first).map((name) => [name, member(name)]));
}
