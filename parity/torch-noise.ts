import { mersenne } from 'pure-rand/generator/mersenne';

/**
 * The normal noise of `torch.manual_seed(seed)` and `torch.randn` on a CPU, call by call, in float64: MT19937 gives
 * u = (word mod 2²⁴)/2²⁴, and each block of 16 uniforms 16 values by Box–Muller, r = √(−2 ln(1 − u_j)) and
 * θ = 2π u_{j+8}: r cos θ in the first half, r sin θ in the second. (`normal_fill` of ATen's DistributionTemplates.h.)
 * @param count values a call, a multiple of 16: only such a buffer is filled by whole blocks.
 */
export function torchNoise(seed: number, count: number): () => Float64Array {
  if (count % 16 !== 0 || count < 16) throw new RangeError(`count is ${count}; it must be a multiple of 16.`);
  // As torch does, by the seed's lowest 32 bits.
  const generator = mersenne(seed >>> 0);
  return () => {
    const values = Float64Array.from({ length: count }, () => (generator.next() & 0xffffff) / 2 ** 24);
    for (let block = 0; block < count; block += 16)
      for (let j = block; j < block + 8; j++) {
        const radius = Math.sqrt(-2 * Math.log1p(-(values[j] as number)));
        const angle = 2 * Math.PI * (values[j + 8] as number);
        values[j] = radius * Math.cos(angle);
        values[j + 8] = radius * Math.sin(angle);
      }
    return values;
  };
}
