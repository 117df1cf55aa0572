import type { DitConfig } from '@logsnr/networks';
import { ops } from '@logsnr/nn';
import { type Fixed, type Mapping, mappingOf, type Place } from './mapping.js';

/** The names of a peer's DiT for the parts of a block, for the embeddings of time and class, and for what ends it. */
interface Names {
  readonly patch: string;
  readonly last: Readonly<Record<string, string>>;
  /** Of the layers of block i. */
  readonly block: (i: number) => string;
  readonly layers: Readonly<Record<string, string | readonly string[]>>;
  /** Under which an embedding stands, as often as there are. */
  readonly embeddings: readonly string[];
  readonly embedding: Readonly<Record<string, string>>;
}

type Shapes = Readonly<Record<string, readonly number[]>>;

/** The names of the authors of DiT (Peebles & Xie 2022, arXiv 2212.09748). */
export const ditOriginal = (shapes: Shapes, config: DitConfig): Mapping => ({
  pieces: piecesOf(shapes, config, {
    patch: 'x_embedder.proj',
    last: { 'out.modulation': 'final_layer.adaLN_modulation.1', 'out.linear': 'final_layer.linear' },
    block: (i) => `blocks.${i}`,
    layers: {
      ...{ qkv: 'attn.qkv', out: 'attn.proj', mlp1: 'mlp.fc1', mlp2: 'mlp.fc2' },
      modulation: 'adaLN_modulation.1',
    },
    embeddings: [''],
    embedding: {
      ...{ 'lambda.linear1': 't_embedder.mlp.0', 'lambda.linear2': 't_embedder.mlp.2' },
      class: 'y_embedder.embedding_table',
    },
  }),
  fixed: [positions('pos_embed', config, false)],
});

/** The names of the `DiTTransformer2DModel` of diffusers, each of whose blocks has a copy of the embeddings. */
export const ditDiffusers = (shapes: Shapes, config: DitConfig): Mapping => ({
  pieces: piecesOf(shapes, config, {
    patch: 'pos_embed.proj',
    last: { 'out.modulation': 'proj_out_1', 'out.linear': 'proj_out_2' },
    block: (i) => `transformer_blocks.${i}`,
    layers: {
      ...{ qkv: ['attn1.to_q', 'attn1.to_k', 'attn1.to_v'], out: 'attn1.to_out.0' },
      ...{ mlp1: 'ff.net.0.proj', mlp2: 'ff.net.2', modulation: 'norm1.linear' },
    },
    embeddings: Array.from({ length: config.depth }, (_, i) => `transformer_blocks.${i}.norm1.emb.`),
    embedding: {
      ...{ 'lambda.linear1': 'timestep_embedder.linear_1', 'lambda.linear2': 'timestep_embedder.linear_2' },
      class: 'class_embedder.embedding_table',
    },
  }),
  // Files of before 2024 have it.
  fixed: [positions('pos_embed.pos_embed', config, true)],
});

function piecesOf(shapes: Shapes, { patch, channels, size }: DitConfig, names: Names) {
  const placeOf = (path: string): Place | undefined => {
    if (path === 'patch')
      return { name: names.patch, weight: { shape: [size, channels, patch, patch], order: [2, 3, 1, 0] } };
    const embedding = names.embedding[path];
    if (embedding !== undefined) {
      const [name = '', ...copies] = names.embeddings.map((under) => `${under}${embedding}`);
      return { name, copies };
    }
    const [, i, layer = ''] = /^block\.(\d+)\.(\w+)$/.exec(path) ?? [];
    if (i === undefined) return { name: names.last[path] as string };
    return { name: [names.layers[layer] ?? []].flat().map((each) => `${names.block(Number(i))}.${each}`) };
  };
  return mappingOf(shapes, placeOf);
}

/** The table of positions, which the network computes. */
function positions(name: string, { height, width, patch, size }: DitConfig, optional: boolean): Fixed {
  const [h, w] = [height / patch, width / patch];
  return {
    ...{ name, shape: [1, h * w, size], optional },
    values() {
      const table = ops.positionTable(h, w, size);
      const values = table.dataSync<'float32'>();
      table.dispose();
      return values;
    },
  };
}
