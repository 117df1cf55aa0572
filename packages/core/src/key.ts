import { checkInteger } from './check.js';

/** A key of the counter-based generator Philox4x32-10: 64 bits, as two 32-bit words. It is a value and never changes. */
export interface Key {
  readonly words: readonly [number, number];
}

/** The key of an integer seed ≥ 0. Different seeds give different keys, and 0 is a seed like any other. */
export function key(seed: number): Key {
  checkInteger('seed', seed);
  return { words: [seed >>> 0, Math.floor(seed / 2 ** 32)] };
}

/** A new key from `k` and integers ≥ 0, such as a step or a purpose. Each list of parts gives independent noise. */
export function fold(k: Key, ...parts: readonly number[]): Key {
  let [low, high] = k.words;
  for (const part of parts) {
    checkInteger('part', part);
    // The third counter word is 0 wherever values are drawn, so a folded key never repeats a drawn block.
    const block = philox([part >>> 0, Math.floor(part / 2 ** 32), 0x666f6c64, 0], [low, high]);
    [low, high] = [block[0] as number, block[1] as number];
  }
  return { words: [low, high] };
}

/** `count` 32-bit words of a key's stream. They start at block number `counter`; a block has four words. */
export function bits(k: Key, count: number, counter = 0): Uint32Array {
  checkInteger('count', count);
  checkInteger('counter', counter);
  const words = new Uint32Array(Math.ceil(count / 4) * 4);
  for (let i = 0; i < words.length; i += 4) {
    const block = counter + i / 4;
    words.set(philox([block >>> 0, Math.floor(block / 2 ** 32), 0, 0], k.words), i);
  }
  return words.subarray(0, count);
}

/** `count` float64 numbers, uniform in [0, 1). Each has 32 random bits. */
export function uniforms(k: Key, count: number): Float64Array {
  return Float64Array.from(bits(k, count), (word) => word / 2 ** 32);
}

/** The numbers 0 … `count` − 1 in a uniformly random order (Fisher–Yates). */
export function permutation(k: Key, count: number): Uint32Array {
  const order = Uint32Array.from({ length: count }, (_, i) => i);
  const u = uniforms(k, count);
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor((u[i] as number) * (i + 1));
    [order[i], order[j]] = [order[j] as number, order[i] as number];
  }
  return order;
}

/** The upper 32 bits of the 64-bit product a · b. */
const highOf = (a: number, b: number): number => {
  const [ah, al, bh, bl] = [a >>> 16, a & 0xffff, b >>> 16, b & 0xffff];
  const middle = ah * bl + ((al * bl) >>> 16);
  return (ah * bh + Math.floor(middle / 65536) + Math.floor(((middle % 65536) + al * bh) / 65536)) >>> 0;
};

/**
 * One block of Philox4x32-10: four words, from a counter of four words and a key of two (Salmon et al. 2011, "Parallel
 * random numbers: as easy as 1, 2, 3").
 */
export function philox(counter: readonly [number, number, number, number], k: readonly [number, number]): Uint32Array {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = k;
  for (let round = 0; round < 10; round++) {
    const [h0, l0] = [highOf(0xd2511f53, c0), Math.imul(0xd2511f53, c0)];
    const [h1, l1] = [highOf(0xcd9e8d57, c2), Math.imul(0xcd9e8d57, c2)];
    [c0, c1, c2, c3] = [(h1 ^ c1 ^ k0) >>> 0, l1 >>> 0, (h0 ^ c3 ^ k1) >>> 0, l0 >>> 0];
    k0 = (k0 + 0x9e3779b9) >>> 0;
    k1 = (k1 + 0xbb67ae85) >>> 0;
  }
  return Uint32Array.of(c0, c1, c2, c3);
}
