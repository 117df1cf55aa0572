import type { Recording } from './recording.js';

const FLOAT32 = 1;
const BFLOAT16 = 14;
const HEAVY = new Set(['Conv2D', 'Conv2DBackpropInput', 'Conv2DBackpropFilter', 'MatMul', 'BatchMatMulV2']);

/**
 * Puts casts to bfloat16 around every convolution and matrix product of the library's from node number `from` on; everything
 * else stays float32, also the convolutions of this package's own, which are as fast so.
 */
export function cheaper({ nodes }: Recording, from = 0): void {
  const casts = new Map<string, string>();
  const added: typeof nodes = [];
  const cast = (input: string, from: number, to: number, name: string) => {
    added.push({
      name,
      op: 'Cast',
      input: [input],
      attr: { SrcT: { type: from }, DstT: { type: to }, Truncate: { b: false } },
    });
    return `${name}:0`;
  };
  const narrow = (input: string): string => {
    const found = casts.get(input) ?? cast(input, FLOAT32, BFLOAT16, `narrow${nodes.length + added.length}`);
    casts.set(input, found);
    return found;
  };
  const sizes: Record<string, number> = { Conv2DBackpropInput: 0, Conv2DBackpropFilter: 1 };
  for (const node of nodes.slice(from)) {
    if (!HEAVY.has(node.op) || node.attr.T?.type !== FLOAT32) continue;
    // The int32 argument of the gradients (a shape) stays as it is.
    node.input = node.input.map((input, i) => (i === sizes[node.op] ? input : narrow(input)));
    node.attr.T = { type: BFLOAT16 };
    // Others go on reading this name: it becomes the cast back, and the operation itself moves aside.
    const { name } = node;
    node.name = `${name}_bf16`;
    cast(`${node.name}:0`, BFLOAT16, FLOAT32, name);
  }
  nodes.push(...added);
}
