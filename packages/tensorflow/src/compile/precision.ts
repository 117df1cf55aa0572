import { LINEAR, LINEAR_INPUT_GRADIENT, LINEAR_WEIGHT_GRADIENT } from '@logsnr/nn';
import type { Node } from './proto.js';
import type { Recording, Source } from './recording.js';

const FLOAT32 = 1;
const BFLOAT16 = 14;
const HEAVY = new Set(['Conv2D', 'Conv2DBackpropInput', 'Conv2DBackpropFilter', 'MatMul', 'BatchMatMulV2']);

/** The linear maps of this package's own as products of the library's, which has them in bfloat16: which factor is transposed. */
export const PRODUCTS: Readonly<Record<string, { a: boolean; b: boolean }>> = {
  [LINEAR]: { a: false, b: false },
  [LINEAR_INPUT_GRADIENT]: { a: false, b: true },
  [LINEAR_WEIGHT_GRADIENT]: { a: true, b: false },
};

/**
 * Linear maps of fewer multiplications stay float32 operations of our own: the library's product in bfloat16 takes longer there, with
 * its casts.
 */
const FEW_PRODUCTS = 1 << 24;

/**
 * Puts casts to bfloat16 around every convolution and matrix product of the library's from node number `from` on, and around large
 * linear maps; everything else stays float32, also the 3×3 convolutions and attention of this package's own, the former as fast so.
 */
export function cheaper({ nodes }: Recording, from = 0): void {
  const added: Node[] = [];
  const narrowed = new Map<Source, Source>();
  const add = (name: string, op: string, input: string[], attr: Node['attr']): Source => {
    added.push({ name, op, input, attr });
    return `${name}:0`;
  };
  const cast = (name: string, input: Source, from: number, to: number) =>
    add(name, 'Cast', [input], { SrcT: { type: from }, DstT: { type: to }, Truncate: { b: false } });
  const narrow = (input: Source): Source => {
    const found = narrowed.get(input) ?? cast(`narrow${nodes.length + added.length}`, input, FLOAT32, BFLOAT16);
    narrowed.set(input, found);
    return found;
  };
  const empty = new Set(nodes.filter(isEmpty).map(({ name }) => `${name}:0`));
  const sizes: Record<string, number> = { Conv2DBackpropInput: 0, Conv2DBackpropFilter: 1 };
  for (const node of nodes.slice(from)) {
    const { name, op } = node;
    const product = (node.products ?? 0) >= FEW_PRODUCTS ? PRODUCTS[op] : undefined;
    if (!product && !(HEAVY.has(op) && node.attr.T?.type === FLOAT32)) continue;
    // Others go on reading this name: it becomes the last of what follows the product, which itself moves aside.
    node.name = `${name}_bf16`;
    const factors = product ? node.input.slice(0, 2) : node.input;
    const plus = node.input.slice(factors.length).filter((input) => !empty.has(input));
    // The int32 argument of the gradients (a shape) stays as it is.
    node.input = factors.map((input, i) => (i === sizes[op] ? input : narrow(input)));
    node.attr = product
      ? { T: { type: BFLOAT16 }, transpose_a: { b: product.a }, transpose_b: { b: product.b } }
      : { ...node.attr, T: { type: BFLOAT16 } };
    node.op = product ? 'MatMul' : op;
    let result = cast(plus.length > 0 ? `${name}_wide` : name, `${node.name}:0`, BFLOAT16, FLOAT32);
    for (const [i, input] of plus.entries())
      result = add(i + 1 < plus.length ? `${name}_plus` : name, 'AddV2', [result, input], { T: { type: FLOAT32 } });
  }
  nodes.push(...added);
}

const isEmpty = ({ op, attr }: Node): boolean => op === 'Const' && attr.value?.tensor?.shape.dim[0]?.size === 0;
