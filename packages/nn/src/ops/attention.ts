import * as tf from '@tensorflow/tfjs-core';
import { ATTENTION, ATTENTION_GRADIENT, type AttentionAttrs } from '../kernels.js';
import { hasKernels, runWithGradient } from './kernel.js';

/** How attention is made: by a kernel of the backend's, or from many of its operations. */
export type AttentionMethod = 'kernel' | 'composed';

/**
 * `kernel` where the current backend has one. Forward pass and gradients then take 0.09 to 0.17 times as long as composed at
 * 2 samples of 49 or 64 tokens, 0.45 and 0.54 at 16 of 256, and 0.67 and 0.74 at one of 4096 (`pnpm bench:products`, one thread of
 * a Zen 4 core).
 */
export const attentionMethod = (): AttentionMethod =>
  hasKernels(ATTENTION, ATTENTION_GRADIENT) ? 'kernel' : 'composed';

/** Composed, no table of scores has more numbers than this, or more queries than `fewest`, whichever is more. */
const most = 1 << 22;
const fewest = 64;

/**
 * Multi-head self-attention (Vaswani et al. 2017, arXiv 1706.03762, equation 1): softmax(Q Kᵀ/√d) V for each head.
 *
 * `qkv` is [n, t, 3c] with t tokens. Its channels are q, k and v in this order, and each is (head, d) with d = c/heads. The
 * result is [n, t, c]. Differentiable once.
 *
 * No t × t table is held where t is large. It goes through blocks of queries, and the gradient makes the scores of a block
 * again.
 */
export function attention(qkv: tf.Tensor3D, heads: number, method = attentionMethod()): tf.Tensor3D {
  if (method === 'kernel') return runWithGradient(kernelGradient, { qkv }, { heads } satisfies AttentionAttrs);
  return composed(heads)(qkv) as tf.Tensor3D;
}

const kernelGradient: tf.GradConfig = {
  kernelName: ATTENTION,
  inputsToSave: ['qkv'],
  gradFunc: (dy, [qkv], attrs) => ({
    qkv: () => tf.engine().runKernel(ATTENTION_GRADIENT, { dy: dy as tf.Tensor, qkv: qkv as tf.Tensor }, attrs),
  }),
};

type T3 = tf.Tensor3D;
/** The first of some queries, and how many. */
type Block = readonly [number, number];

interface Factors {
  /** Each [n heads, t, d]. q is divided by √d: it is smaller than the scores. */
  q: T3;
  k: T3;
  v: T3;
  /** k, [n heads, d, t]. No product transposes a factor: WebAssembly is slow at that, and a table would be copied. */
  turned: T3;
  heads: number;
  blocks: readonly Block[];
}

function factors(qkv: T3, heads: number): Factors {
  const t = qkv.shape[1];
  const [q, k, v] = tf.split(qkv, 3, 2).map((part) => apart(part as T3, heads)) as [T3, T3, T3];
  const rows = Math.max(fewest, Math.floor(most / (q.shape[0] * t)));
  return {
    q: tf.mul(q, 1 / Math.sqrt(q.shape[2])),
    k,
    v,
    turned: turn(k),
    heads,
    blocks: Array.from({ length: Math.ceil(t / rows) }, (_, i) => [i * rows, Math.min(rows, t - i * rows)] as const),
  };
}

/** Head by head, [n, t, c] → [n heads, t, c/heads], and back. */
function apart(x: T3, heads: number): T3 {
  const [n, t, c] = x.shape;
  if (heads === 1) return x;
  return tf.reshape(tf.transpose(tf.reshape(x, [n, t, heads, c / heads]), [0, 2, 1, 3]), [n * heads, t, c / heads]);
}
function joined(x: T3, heads: number): T3 {
  const [pairs, t, d] = x.shape;
  if (heads === 1) return x;
  return tf.reshape(tf.transpose(tf.reshape(x, [pairs / heads, heads, t, d]), [0, 2, 1, 3]), [-1, t, heads * d]);
}

const rowsOf = (x: T3, [first, count]: Block): T3 =>
  count === x.shape[1] ? x : tf.slice(x, [0, first, 0], [-1, count, -1]);

const scores = ({ q, turned }: Factors, block: Block): T3 => tf.softmax(tf.matMul(rowsOf(q, block), turned) as T3);

const composed = (heads: number) =>
  tf.customGrad((...args) => {
    const [qkv, save] = args as unknown as [T3, tf.GradSaveFunc];
    const given = factors(qkv, heads);
    // Kept where it is but one block.
    const table = given.blocks.length === 1 ? scores(given, [0, qkv.shape[1]]) : undefined;
    const parts = given.blocks.map((block) => tf.tidy(() => tf.matMul(table ?? scores(given, block), given.v) as T3));
    const y = joined(tf.concat(parts, 1), heads);
    save([qkv, y, ...(table ? [table] : [])]);
    return {
      value: y,
      gradFunc(dy, saved) {
        const [qkv, y, table] = saved as [T3, T3, T3?];
        return tf.tidy(() => gradient(dy as T3, y, factors(qkv, heads), table));
      },
    };
  });

/**
 * dV = Pᵀ dY, dQ = dS K/√d, dK = dSᵀ Q/√d, where dS = P (dY Vᵀ − ⟨y, dY⟩). ⟨y, dY⟩ is what the softmax's gradient takes off a
 * row, Σ_j P (dY Vᵀ). dK and dV are sums over the blocks.
 */
function gradient(dy: T3, y: T3, given: Factors, table: T3 | undefined): T3 {
  const { q, k, v, heads, blocks } = given;
  const slopes = apart(dy, heads);
  const mean = tf.sum(tf.mul(slopes, apart(y, heads)), 2, true) as T3;
  const values = turn(v);
  const dq: T3[] = [];
  let sums: T3[] = [];
  for (const block of blocks) {
    const [own, ...parts] = tf.tidy(() => {
      const p = table ?? scores(given, block);
      const d = rowsOf(slopes, block);
      const ds = tf.mul(p, tf.sub(tf.matMul(d, values), rowsOf(mean, block))) as T3;
      const turned = [tf.matMul(turn(rowsOf(q, block)), ds), tf.matMul(turn(d), p)];
      return [tf.matMul(ds, k), ...turned.map((part, i) => (sums[i] ? tf.add(sums[i], part) : part))];
    }) as [T3, ...T3[]];
    tf.dispose(sums);
    sums = parts;
    dq.push(own);
  }
  const all = [tf.mul(tf.concat(dq, 1), 1 / Math.sqrt(q.shape[2])) as T3, ...sums.map(turn)];
  return tf.concat(
    all.map((part) => joined(part, heads)),
    2,
  );
}

const turn = (x: T3): T3 => tf.transpose(x, [0, 2, 1]);
