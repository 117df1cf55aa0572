import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { flatten, free } from '@logsnr/core';
import { encodeSafetensors, type Stored } from '@logsnr/io';
import { withTensors } from '@logsnr/io/node';
import {
  type DitConfig,
  dit,
  type NetworkSpec,
  type NoisyClassifierConfig,
  noisyClassifier,
  type SuperResolutionConfig,
  superResolution,
  type UnetConfig,
  unet,
} from '@logsnr/networks';
import { ops, type Parameters } from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomised } from '../../../test/modules.js';
import { type LoadProgress, loadParameters, type Peer, saveParameters } from './index.js';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'logsnr-pretrained-'));
});
afterEach(() => rm(folder, { recursive: true }));

const config: UnetConfig = {
  ...{ height: 8, width: 8, channels: 3, outputs: 6, classes: 4, base: 8, multipliers: [1, 2], blocks: 1 },
  ...{ attention: [4], headChannels: 8, groups: 4 },
};
const network = { kind: 'unet', config } as const;
const parameters = randomised(unet(config));
const flat = flatten<tf.Tensor>(parameters);

/** The tensors of a file, as they are. */
const contents = (path: string): Promise<Record<string, Stored>> =>
  withTensors(path, async ({ entries, values }) => {
    const read: Record<string, Stored> = {};
    for (const entry of entries) read[entry.name] = { ...entry, data: await values(entry) };
    return read;
  });

const ditConfig: DitConfig = {
  ...{ height: 6, width: 4, channels: 2, outputs: 4, classes: 3 },
  ...{ patch: 2, size: 8, depth: 2, heads: 2 },
};
const ditParameters = randomised(dit(ditConfig));
const classifierConfig: NoisyClassifierConfig = { ...config, pool: 'attention' };
const classifierParameters = randomised(noisyClassifier(classifierConfig));
const pooled: NoisyClassifierConfig = { ...classifierConfig, pool: 'mean' };
const upsamplerConfig: SuperResolutionConfig = { ...config, low: { height: 4, width: 4 } };
const upsamplerParameters = randomised(superResolution(upsamplerConfig));

/** Every kind of network, and whose files of it there are. */
const networks: readonly (readonly [NetworkSpec, Parameters, readonly Peer[]])[] = [
  [network, parameters, ['logsnr', 'guided-diffusion', 'diffusers']],
  [{ kind: 'dit', config: ditConfig }, ditParameters, ['logsnr', 'dit', 'diffusers']],
  [{ kind: 'noisy-classifier', config: classifierConfig }, classifierParameters, ['logsnr', 'guided-diffusion']],
  [{ kind: 'super-resolution', config: upsamplerConfig }, upsamplerParameters, ['logsnr', 'guided-diffusion']],
  [{ kind: 'noisy-classifier', config: pooled }, randomised(noisyClassifier(pooled)), ['logsnr', 'guided-diffusion']],
];

function expectSame(loaded: Parameters, saved = parameters): void {
  const [own, flat] = [flatten<tf.Tensor>(loaded), flatten<tf.Tensor>(saved)];
  expect(Object.keys(own)).toEqual(Object.keys(flat));
  for (const [name, tensor] of Object.entries(flat)) {
    expect([name, own[name]?.shape]).toEqual([name, tensor.shape]);
    expect([name, own[name]?.dataSync()]).toEqual([name, tensor.dataSync()]);
  }
  free(loaded);
}

describe('what is saved is loaded', () => {
  test.each(
    networks.flatMap(([network, parameters, peers]) =>
      peers.flatMap((as) => ['safetensors', 'pt'].map((end) => [network.kind, as, end, network, parameters] as const)),
    ),
  )('bit for bit: %s, %s, .%s', async (_, as, end, network, parameters) => {
    const path = join(folder, `file.${end}`);
    const before = tf.memory().numTensors;
    await saveParameters(network, parameters, path, { as });
    expect(tf.memory().numTensors).toBe(before);
    expectSame(await loadParameters(network, path), parameters);
    expectSame(await loadParameters(network, path, { as }), parameters);
    expect(tf.memory().numTensors).toBe(before);
    expect(await readdir(folder)).toEqual([`file.${end}`]);
  });

  test('as float16, bfloat16 and float64 too, and under the name of a dict', async () => {
    const path = join(folder, 'file.safetensors');
    await saveParameters(network, parameters, path, { as: 'diffusers' });
    const stored = await contents(path);
    for (const dtype of ['F64', 'F16', 'BF16'] as const) {
      const tensors = Object.entries(stored).map(([name, { data, shape }]) => [
        `model.ema.${name}`,
        { shape, dtype, data: dtype === 'F64' ? Float64Array.from(data as Float32Array) : data },
      ]);
      await writeFile(path, encodeSafetensors({ tensors: Object.fromEntries(tensors) }));
      await expect(loadParameters(network, path)).rejects.toThrow(
        `${path} has the tensors of this network under "model.ema". Say which: { under: 'model.ema' }.`,
      );
      const loaded = await loadParameters(network, path, { under: 'model.ema' });
      if (dtype === 'F64') expectSame(loaded);
      else {
        const kernel = flatten<tf.Tensor>(loaded)['down.0.block.0.conv1.kernel'] as tf.Tensor;
        const digits = dtype === 'F16' ? 2 ** -11 : 2 ** -8;
        const own = flat['down.0.block.0.conv1.kernel'] as tf.Tensor;
        const error = tf.max(tf.sub(tf.abs(tf.sub(kernel, own)), tf.mul(tf.abs(own), digits)));
        expect(error.dataSync()[0]).toBeLessThan(1e-7);
        free([loaded, error]);
      }
    }
  });

  test('its progress is told, tensor by tensor', async () => {
    const path = join(folder, 'file.pt');
    await saveParameters(network, parameters, path, { as: 'guided-diffusion' });
    const seen: LoadProgress[] = [];
    free(await loadParameters(network, path, { progress: (each) => seen.push(each) }));
    const count = Object.keys(flat).length;
    const bytes = Object.values(flat).reduce((sum, { size }) => sum + 4 * size, 0);
    expect(seen.map(({ tensors }) => tensors)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
    expect(seen.at(-1)).toEqual({ tensors: count, ofTensors: count, bytes, ofBytes: bytes });
  });
});

describe('layouts', () => {
  /** A value of a tensor of ours. */
  const at = (name: string, ...index: number[]): number =>
    (flat[name] as tf.Tensor).bufferSync().get(...index) as number;
  const there = (stored: Stored | undefined, ...index: number[]): number => {
    const { shape, data } = stored as Stored;
    expect(index).toHaveLength(shape.length);
    return Number(data[index.reduce((sum, i, axis) => sum * (shape[axis] as number) + i, 0)]);
  };

  test('kernels are OIHW and OI, and q, k and v stand in the order that is asked for', async () => {
    for (const attentionOrder of ['legacy', 'new'] as const) {
      const path = join(folder, `${attentionOrder}.pt`);
      await saveParameters(network, parameters, path, { as: 'guided-diffusion', attentionOrder });
      const file = await contents(path);
      expect(there(file['input_blocks.1.0.in_layers.2.weight'], 5, 2, 0, 1)).toBe(
        at('down.0.block.0.conv1.kernel', 0, 1, 2, 5),
      );
      expect(there(file['time_embed.2.weight'], 7, 30)).toBe(at('lambda.linear2.kernel', 30, 7));
      expect(there(file['input_blocks.3.0.skip_connection.weight'], 9, 4, 0, 0)).toBe(
        at('down.1.block.0.skip.kernel', 4, 9),
      );
      // 16 channels are 2 heads of 8. Of q, k and v number s, head h, channel d:
      const [s, h, d] = [1, 1, 3];
      const place = attentionOrder === 'legacy' ? (h * 3 + s) * 8 + d : (s * 2 + h) * 8 + d;
      expect(there(file['middle_block.1.qkv.weight'], place, 6, 0)).toBe(
        at('middle.attention.0.qkv.kernel', 6, (s * 2 + h) * 8 + d),
      );
      expect(there(file['middle_block.1.qkv.bias'], place)).toBe(
        at('middle.attention.0.qkv.bias', (s * 2 + h) * 8 + d),
      );
      expect(there(file['label_emb.weight'], 4, 1)).toBe(at('class.table', 4, 1));
      expectSame(await loadParameters(network, path, { attentionOrder }));
    }
  });

  test('diffusers has q, k and v apart, and earlier files have other names for them', async () => {
    const path = join(folder, 'file.safetensors');
    await saveParameters(network, parameters, path, { as: 'diffusers' });
    const file = await contents(path);
    expect(there(file['up_blocks.0.attentions.1.to_v.weight'], 3, 6)).toBe(
      at('up.1.attention.1.qkv.kernel', 6, 32 + 3),
    );
    expect(there(file['up_blocks.1.resnets.0.conv_shortcut.weight'], 3, 20, 0, 0)).toBe(
      at('up.0.block.0.skip.kernel', 20, 3),
    );
    const before: Record<string, string> = { to_q: 'query', to_k: 'key', to_v: 'value', 'to_out.0': 'proj_attn' };
    const tensors = Object.entries(file).map(([name, stored]) => [
      name.replace(/to_q|to_k|to_v|to_out\.0/, (part) => before[part] as string),
      stored,
    ]);
    expect(Object.fromEntries(tensors)['mid_block.attentions.0.proj_attn.bias']).toBeDefined();
    await writeFile(path, encodeSafetensors({ tensors: Object.fromEntries(tensors) }));
    expectSame(await loadParameters(network, path));
  });
});

describe("a DiT's files", () => {
  const spec = { kind: 'dit', config: ditConfig } as const;
  const at = (name: string): tf.Tensor => flatten<tf.Tensor>(ditParameters)[name] as tf.Tensor;
  const written = async (as: Peer) => {
    const path = join(folder, 'file.safetensors');
    await saveParameters(spec, ditParameters, path, { as, overwrite: true });
    return { path, file: await contents(path) };
  };
  const rewrite = (path: string, file: Record<string, Stored>) =>
    writeFile(path, encodeSafetensors({ tensors: file as never }));

  test("have the original's layouts and its table of positions", async () => {
    const { path, file } = await written('dit');
    const kernel = file['x_embedder.proj.weight'] as Stored;
    expect(kernel.shape).toEqual([8, 2, 2, 2]);
    // Of channel 5, input 1, row 0, column 1: our rows are (row, column, input).
    expect(kernel.data[((5 * 2 + 1) * 2 + 0) * 2 + 1]).toBe(
      at('patch.kernel')
        .bufferSync()
        .get(1 * 2 + 1, 5),
    );
    expect(file['x_embedder.proj.bias']?.data).toEqual(at('patch.bias').dataSync());
    const table = file.pos_embed as Stored;
    expect(table.shape).toEqual([1, 6, 8]);
    // Token 3 is row 1, column 1; then sines and cosines of 10000^(−k/2).
    expect([0, 1, 2, 3].map((k) => table.data[3 * 8 + k])).toEqual(
      [Math.sin(1), Math.sin(0.01), Math.cos(1), Math.cos(0.01)].map(Math.fround),
    );
    const data = Float32Array.from(table.data as Float32Array, (value, i) => (i === 20 ? value + 0.01 : value));
    await rewrite(path, { ...file, pos_embed: { ...table, data } });
    await expect(loadParameters(spec, path)).rejects.toThrow(/in pos_embed where this network computes/);
    const { pos_embed: _, ...rest } = file;
    await rewrite(path, rest);
    await expect(loadParameters(spec, path)).rejects.toThrow('missing: pos_embed [1, 6, 8]');
  });

  test("have diffusers' copies of the embeddings in every block, which must be equal", async () => {
    const { path, file } = await written('diffusers');
    const name = (i: number) => `transformer_blocks.${i}.norm1.emb.timestep_embedder.linear_2.bias`;
    expect(file[name(0)]?.data).toEqual(at('lambda.linear2.bias').dataSync());
    expect(file[name(1)]?.data).toEqual(file[name(0)]?.data);
    expect(file['transformer_blocks.1.attn1.to_k.bias']?.data).toEqual(at('block.1.qkv.bias').dataSync().slice(8, 16));
    // Files of before 2024 have the table of positions too.
    const table = ops.positionTable(3, 2, 8);
    const early = { 'pos_embed.pos_embed': { shape: [1, 6, 8], data: table.dataSync<'float32'>() } };
    await rewrite(path, { ...file, ...early });
    expectSame(await loadParameters(spec, path), ditParameters);
    await rewrite(path, { ...file, 'pos_embed.pos_embed': { shape: [1, 6, 8], data: new Float32Array(48) } });
    await expect(loadParameters(spec, path)).rejects.toThrow(/0 in pos_embed.pos_embed where this network computes/);
    free(table);
    expect(file).not.toHaveProperty(['pos_embed.pos_embed']);
    const other = { ...(file[name(1)] as Stored), data: new Float32Array(8) };
    await rewrite(path, { ...file, [name(1)]: other });
    const before = tf.memory().numTensors;
    await expect(loadParameters(spec, path)).rejects.toThrow(`other values in ${name(1)} than in ${name(0)}`);
    expect(tf.memory().numTensors).toBe(before);
  });
});

test("a classifier's pooling has its positions transposed and q, k and v in our order", async () => {
  const path = join(folder, 'file.pt');
  const spec = { kind: 'noisy-classifier', config: classifierConfig } as const;
  await saveParameters(spec, classifierParameters, path, { as: 'guided-diffusion' });
  const file = await contents(path);
  const own = flatten<tf.Tensor>(classifierParameters);
  const position = file['out.2.positional_embedding'] as Stored;
  expect(position.shape).toEqual([16, 17]);
  expect(position.data[3 * 17 + 5]).toBe((own['pool.position'] as tf.Tensor).bufferSync().get(5, 3));
  expect(file['out.2.qkv_proj.weight']?.shape).toEqual([48, 16, 1]);
  expect(file['out.2.qkv_proj.bias']?.data).toEqual((own['pool.qkv.bias'] as tf.Tensor).dataSync());
  // The blocks' own attention is in the order of the published classifiers.
  expect(file['middle_block.1.qkv.bias']?.data).not.toEqual(
    (own['middle.attention.0.qkv.bias'] as tf.Tensor).dataSync(),
  );
  expect(file['out.2.c_proj.weight']?.shape).toEqual([4, 16, 1]);
});

test("a network for super-resolution sees both images in its first layer, and has guided-diffusion's labels", async () => {
  const path = join(folder, 'file.pt');
  const spec = { kind: 'super-resolution', config: upsamplerConfig } as const;
  await saveParameters(spec, upsamplerParameters, path, { as: 'guided-diffusion' });
  const file = await contents(path);
  const { base, channels } = upsamplerConfig;
  expect(file['input_blocks.0.0.weight']?.shape).toEqual([base, 2 * channels, 3, 3]);
  const table = flatten<tf.Tensor>(upsamplerParameters)['condition.class.table'] as tf.Tensor;
  expect(file['label_emb.weight']).toMatchObject({ shape: table.shape, data: table.dataSync() });
  const noisy = { ...spec, config: { ...upsamplerConfig, noise: true } };
  const own = randomised(superResolution(noisy.config));
  await expect(saveParameters(noisy, own, path, { as: 'guided-diffusion', overwrite: true })).rejects.toThrow(
    /as is "guided-diffusion"; it must be "logsnr"/,
  );
});

describe('what does not fit', () => {
  test('is told by name before any value is read, and nothing stays in memory', async () => {
    const path = join(folder, 'file.safetensors');
    await saveParameters(network, parameters, path, { as: 'diffusers' });
    const file = await contents(path);
    const {
      'conv_in.weight': _,
      'conv_in.bias': bias,
      'conv_out.bias': last,
      ...rest
    } = file as Record<string, Required<Stored>>;
    const many = Array.from({ length: 12 }, (_, i) => [`extra.${i}`, { shape: [1], data: Float32Array.of(1) }]);
    const spoilt = {
      ...{ 'conv_in.bias': { ...(bias as Stored), shape: [2, 4] }, 'conv_out.bias': last as Stored },
      ...{ ...rest, ...Object.fromEntries(many) },
    };
    await writeFile(path, encodeSafetensors({ tensors: spoilt }));
    const before = tf.memory().numTensors;
    const error = (await loadParameters(network, path).catch((error: unknown) => error)) as Error;
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).toContain(`the tensors in ${path} do not fit the network`);
    expect(error.message).toContain('missing: conv_in.weight [8, 3, 3, 3]');
    expect(error.message).toContain('wrong shape: conv_in.bias is [2, 4], must be [8]');
    expect(error.message).toContain('unexpected: extra.9 [1]\n  unexpected: 12 in all');
    expect(error.message).not.toContain('extra.10');
    const whole = { ...file, 'conv_out.bias': { shape: [6], data: Int32Array.from({ length: 6 }, () => 1) } };
    await writeFile(path, encodeSafetensors({ tensors: whole }));
    await expect(loadParameters(network, path)).rejects.toThrow(`${path} has conv_out.bias as I32; accepted is F32`);
    await expect(loadParameters(network, path, { as: 'logsnr' })).rejects.toThrow('none with a name that logsnr has');
    await expect(loadParameters(network, path, { under: 'ema' })).rejects.toThrow(`${path} has no tensor under "ema"`);
    await expect(loadParameters(network, path, { as: 'dit' })).rejects.toThrow('as is "dit"');
    await expect(loadParameters(network, join(folder, 'none.pt'))).rejects.toThrow('it is missing');
    await expect(loadParameters(network, folder)).rejects.toThrow('has no diffusion_pytorch_model.safetensors');
    expect(tf.memory().numTensors).toBe(before);
  });

  test('a file that breaks off while it is read leaves nothing in memory', async () => {
    const path = join(folder, 'file.pt');
    await saveParameters(network, parameters, path, { as: 'guided-diffusion' });
    const before = tf.memory().numTensors;
    let count = 0;
    const stopped = loadParameters(network, path, {
      progress: () => {
        if (++count === 5) throw new Error('stop');
      },
    });
    await expect(stopped).rejects.toThrow('stop');
    expect(tf.memory().numTensors).toBe(before);
  });
});

describe('saving', () => {
  test('replaces nothing unless it is told to, and writes nothing that could not be loaded', async () => {
    const path = join(folder, 'file.pt');
    await saveParameters(network, parameters, path);
    await expect(saveParameters(network, parameters, path)).rejects.toThrow(`${path} is there already`);
    await saveParameters(network, parameters, path, { overwrite: true, as: 'guided-diffusion' });
    const { in: _, ...rest } = parameters;
    await expect(saveParameters(network, rest, path, { overwrite: true })).rejects.toThrow('missing: in.kernel');
    await expect(saveParameters(network, parameters, join(folder, 'a.onnx'))).rejects.toThrow('ends with ".onnx"');
    expect(await readdir(folder)).toEqual(['file.pt']);
    expectSame(await loadParameters(network, path));
  });
});

test('the parts of a sharded checkpoint are read as one', async () => {
  const path = join(folder, 'whole.safetensors');
  await saveParameters(network, parameters, path, { as: 'diffusers' });
  const file = Object.entries(await contents(path));
  const names = ['a', 'b', 'c'].map((part) => `diffusion_pytorch_model-${part}.safetensors`);
  const map = file.map(([name], i) => [name, names[i % 3] as string] as const);
  const index = join(folder, 'diffusion_pytorch_model.safetensors.index.json');
  const write = (of: object) => writeFile(index, JSON.stringify({ metadata: { total_size: 1 }, weight_map: of }));
  for (const [i, name] of names.entries())
    await writeFile(
      join(folder, name),
      encodeSafetensors({ tensors: Object.fromEntries(file.filter((_, at) => at % 3 === i)) }),
    );
  await write(Object.fromEntries(map));
  expectSame(await loadParameters(network, folder));
  await write({ a: names[0], b: '../whole.safetensors' });
  await expect(loadParameters(network, folder)).rejects.toThrow(`${index} is not what diffusers writes: weight_map.b`);
  await write({ a: names[0], b: 'whole.safetensors' });
  await expect(loadParameters(network, folder)).rejects.toThrow('which an earlier part has too');
});
