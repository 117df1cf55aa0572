import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { flatten } from '@logsnr/core';
import type { ImageDataset } from '@logsnr/data';
import { type ImageFilesOptions, imageFolder, mnist, tarShards } from '@logsnr/data/node';
import { hashOfImages, openImages, readStatistics } from '@logsnr/evaluation/node';
import { decodeSafetensors, encodeSafetensors } from '@logsnr/io';
import { npzPieces, type OpenTensors, replaceFile, takeLock, withNpz, withPytorch } from '@logsnr/io/node';
import type { Parameters as Weights } from '@logsnr/nn';
import { loadModel } from '@logsnr/pretrained';
import { loadCheckpoint, saveCheckpoint, withRun } from '@logsnr/runs';
import { adam, disposeState, type OptimizeResult, optimize, type TrainingState } from '@logsnr/training';
import * as tf from '@tensorflow/tfjs-core';
import { encode } from 'fast-png';
import { createTar } from 'nanotar';

/** Something that reads files. A later one joins the table `readers`. */
export interface Reader {
  readonly name: string;
  /** How many of the cases are its, in proportion. */
  readonly weight: number;
  /** Whether whatever was changed must be noticed. What others read may have changed, if it is well formed. */
  readonly checked: boolean;
  /** Writes valid files into a folder. */
  make(folder: string): Promise<void>;
  /** What the files hold, to the bit, as text. */
  read(folder: string): Promise<string>;
  /** What `read` may give of valid files, where it falls back on others of them. What it gives now, unless given. */
  expected?(folder: string): Promise<string[]>;
}

/** Valid files by name, and what may be read from them. */
export interface Sample {
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  readonly expected: readonly string[];
}

export async function sampleOf(reader: Reader): Promise<Sample> {
  const folder = mkdtempSync(join(tmpdir(), 'logsnr-fuzz-'));
  try {
    await reader.make(folder);
    const paths = (readdirSync(folder, { recursive: true }) as string[]).map((name) => join(folder, name));
    const files = paths.filter((path) => statSync(path).isFile()).sort();
    const contents = files.map((path) => [relative(folder, path), new Uint8Array(readFileSync(path))] as const);
    return { files: new Map(contents), expected: (await reader.expected?.(folder)) ?? [await reader.read(folder)] };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Processor time that a case may take, in µs, and address space beyond twice its files, in bytes. */
const [LONGEST, MOST] = [1e6, 2 ** 28];

/** What a case comes to: `result`, `refused`, or what is wrong. `same` says that nothing was changed. */
export async function judge(
  reader: Reader,
  folder: string,
  { expected, same }: { expected: readonly string[]; same: boolean },
): Promise<string> {
  const [tensors, time, space] = [tf.memory().numTensors, process.cpuUsage(), addressSpace()];
  let outcome = 'result';
  try {
    const found = await reader.read(folder);
    if ((reader.checked || same) && !expected.includes(found)) outcome = `other values were read: ${found}`;
  } catch (error) {
    const message = error instanceof Error ? error.message : `no error but ${error}`;
    if (message.length > 4000) outcome = `refused in ${message.length} letters`;
    else if (!message.includes(folder)) outcome = `refused without the file's name: ${message}`;
    else outcome = same ? `refused what is valid: ${message}` : 'refused';
  }
  const { user, system } = process.cpuUsage(time);
  if (user + system > LONGEST) return `took ${(user + system) / 1e6} s of processor time: ${outcome}`;
  if (addressSpace() > space + MOST) return `took ${addressSpace() - space} bytes of memory: ${outcome}`;
  const left = tf.memory().numTensors - tensors;
  return left === 0 ? outcome : `left ${left} tensors: ${outcome}`;
}

/** The most address space that the process had so far, in bytes: on Linux. Memory that is never touched counts too. */
function addressSpace(): number {
  if (process.platform !== 'linux') return 1024 * process.resourceUsage().maxRSS;
  return 1024 * Number(/^VmPeak:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);
}

const hex = ({ buffer, byteOffset, byteLength }: ArrayBufferView) =>
  Buffer.from(buffer, byteOffset, byteLength).toString('hex');

function bitsOf({ parameters, ema, averages, optimizer, ...rest }: TrainingState): string {
  const tree = { parameters, ema: ema ?? {}, averages: averages ?? {}, optimizer: optimizer ?? {} };
  const tensors = Object.entries(flatten<tf.Tensor>(tree)).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify([rest, tensors.map(([name, value]) => [name, value.shape, hex(value.dataSync())])]);
}

async function bitsAt(path: string): Promise<string> {
  const state = await loadCheckpoint(path);
  const bits = bitsOf(state);
  disposeState(state);
  return bits;
}

const decoded = async (path: string) => {
  const { tensors, metadata, checked } = decodeSafetensors(await readFile(path), path);
  const values = Object.entries(tensors).map(([name, { shape, dtype, data }]) => [name, shape, dtype, hex(data)]);
  return { checked, text: JSON.stringify([values, metadata]) };
};

const contentsOf = async ({ entries, metadata, values }: OpenTensors) => {
  const tensors: unknown[] = [];
  for (const entry of entries) tensors.push([entry, hex(await values(entry))]);
  return [tensors, metadata];
};
const allOf = async (found: Promise<unknown>[]) => JSON.stringify(await Promise.all(found));

const array = {
  'a.b': { shape: [2, 3], data: Float32Array.of(0, 1, -2, 0.1, 3.5e38, 1e-45) },
  long: { shape: [2], data: BigInt64Array.of(-1n, 7n) },
  half: { shape: [1, 1], data: Float32Array.of(1.5), dtype: 'F16' },
  empty: { shape: [0, 2], data: new Float32Array(0) },
} as const;
/** The bytes of images of 6×4 pixels in colours. */
const pixels = (count: number) => Uint8Array.from({ length: count * 6 * 4 * 3 }, (_, i) => (37 * i) % 256);

async function imagesAt(path: string): Promise<string> {
  const source = await openImages(path);
  const { count, height, width, channels } = source;
  return [count, height, width, channels, await hashOfImages(source)].join(' ');
}

/** All images of a dataset. */
async function datasetAt(
  folder: string,
  open: (path: string, options: ImageFilesOptions) => Promise<ImageDataset>,
): Promise<string> {
  const env = { LOGSNR_CACHE: join(folder, '.cache') };
  const { count, labels, read } = await open(folder, { size: 5, threads: 0, leastPerClass: 1, env });
  return [...labels, hex(await read(Array.from({ length: count }, (_, i) => i)))].join(' ');
}
const png = () => encode({ data: pixels(1), width: 4, height: 6, channels: 3 });
const jpeg = () => fixture('packages/evaluation/test/fixtures/4x6.jpg');

const npzFiles = ['arrays.npz', 'compressed.npz'];
const torchFiles = ['unchecked.pt', 'views.pt', 'legacy-views.pt'];
const fixture = (path: string) => readFileSync(fileURLToPath(new URL(`../${path}`, import.meta.url)));

const fixtures = (name: string) =>
  fileURLToPath(new URL(`../packages/pretrained/test/fixtures/${name}`, import.meta.url));

async function modelBits(folder: string): Promise<string> {
  const { spec, parameters, dispose } = await loadModel(folder);
  const bits = bitsOf({ step: 0, parameters });
  dispose();
  return JSON.stringify([spec, bits]);
}

export const readers: readonly Reader[] = [
  {
    ...{ name: 'safetensors', weight: 12, checked: true },
    make: async (folder) =>
      writeFileSync(
        join(folder, 'a.safetensors'),
        encodeSafetensors({ tensors: array, metadata: { note: '{"é":1}' } }),
      ),
    async read(folder) {
      const path = join(folder, 'a.safetensors');
      const { checked, text } = await decoded(path);
      if (!checked) throw new Error(`${path} has no checksum.`);
      return text;
    },
  },
  {
    ...{ name: "another tool's safetensors", weight: 12, checked: false },
    async make(folder) {
      const header =
        '{"w":{"dtype":"I32","shape":[2,1],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[],"data_offsets":[8,12]}}';
      const bytes = Buffer.alloc(8 + header.length + 12, header, 'latin1').fill(0, 0, 8);
      bytes.writeUInt32LE(header.length);
      bytes.write(header, 8);
      writeFileSync(join(folder, 'b.safetensors'), bytes);
    },
    read: async (folder) => (await decoded(join(folder, 'b.safetensors'))).text,
  },
  {
    ...{ name: 'checkpoint', weight: 6, checked: true },
    async make(folder) {
      const [w, n] = [tf.tensor2d([[1, -0.5]]), tf.scalar(7, 'int32')];
      const state = { step: 7, parameters: { down: { w } }, averages: { a: { down: { w } } }, optimizer: { n } };
      await saveCheckpoint(join(folder, 'c.safetensors'), {
        ...{ ...state, losses: [3, 2.5], skipped: [2, 5], seconds: 0.25, key: { words: [1, 2] } },
        metadata: { network: '{"width":8}' },
      });
      tf.dispose([w, n]);
    },
    read: (folder) => bitsAt(join(folder, 'c.safetensors')),
  },
  {
    ...{ name: 'old checkpoint', weight: 3, checked: false },
    make: async (folder) =>
      writeFileSync(join(folder, 'old.safetensors'), fixture('test/fixtures/flat-checkpoint.safetensors')),
    read: (folder) => bitsAt(join(folder, 'old.safetensors')),
  },
  {
    ...{ name: "diffusers' folder", weight: 4, checked: false },
    make: async (folder) => cpSync(fixtures('diffusers-unet'), folder, { recursive: true }),
    read: (folder) => modelBits(folder),
  },
  {
    ...{ name: "diffusers' shards", weight: 2, checked: false },
    make: async (folder) => cpSync(fixtures('diffusers-residual'), folder, { recursive: true }),
    read: (folder) => modelBits(folder),
  },
  {
    // Without checksums, so that what is spoilt gets to the parsers.
    ...{ name: 'PyTorch checkpoint', weight: 12, checked: false },
    async make(folder) {
      for (const name of torchFiles) writeFileSync(join(folder, name), fixture(`packages/io/test/fixtures/${name}`));
    },
    read: (folder) => allOf(torchFiles.map((name) => withPytorch(join(folder, name), contentsOf))),
  },
  {
    ...{ name: "numpy's arrays", weight: 12, checked: false },
    async make(folder) {
      for (const name of npzFiles) writeFileSync(join(folder, name), fixture(`packages/io/test/fixtures/${name}`));
    },
    read: (folder) => allOf(npzFiles.map((name) => withNpz(join(folder, name), contentsOf))),
  },
  {
    ...{ name: "others' statistics", weight: 3, checked: false },
    make: async (folder) =>
      writeFileSync(join(folder, 's.npz'), fixture('packages/evaluation/test/fixtures/statistics.npz')),
    read: async (folder) => JSON.stringify(await readStatistics(join(folder, 's.npz'))),
  },
  {
    ...{ name: 'a folder of images', weight: 6, checked: false },
    async make(folder) {
      mkdirSync(join(folder, 'images'));
      for (const name of ['a.png', 'b.png']) writeFileSync(join(folder, 'images', name), png());
      writeFileSync(join(folder, 'images', 'c.jpg'), jpeg());
    },
    read: (folder) => imagesAt(join(folder, 'images')),
  },
  {
    ...{ name: 'images in arrays', weight: 6, checked: false },
    async make(folder) {
      const data = pixels(3);
      await replaceFile(join(folder, 'images.npz'), npzPieces({ arr_0: { shape: [3, 6, 4, 3], data } }));
      const images = { shape: [3, 6, 4, 3], data: Float32Array.from(data, (byte) => byte / 127.5 - 1) };
      writeFileSync(join(folder, 'images.safetensors'), encodeSafetensors({ tensors: { images } }));
    },
    read: (folder) => allOf(['npz', 'safetensors'].map((kind) => imagesAt(join(folder, `images.${kind}`)))),
  },
  {
    ...{ name: 'a folder of classes', weight: 3, checked: false },
    async make(folder) {
      for (const [name, bytes] of [
        ['a/1.png', png()],
        ['a/2.jpg', jpeg()],
        ['b/3.png', png()],
      ] as const) {
        mkdirSync(dirname(join(folder, name)), { recursive: true });
        writeFileSync(join(folder, name), bytes);
      }
    },
    read: (folder) => datasetAt(folder, imageFolder),
  },
  {
    ...{ name: 'images in shards', weight: 6, checked: false },
    async make(folder) {
      const numbered = [
        { name: '1.png', data: png() },
        { name: '1.cls', data: '1' },
        { name: '2.jpg', data: new Uint8Array(jpeg()) },
        { name: '2.cls', data: '0' },
      ];
      for (const part of [0, 1]) writeFileSync(join(folder, `shard-00000${part}.tar`), createTar(numbered));
    },
    read: (folder) => datasetAt(folder, tarShards),
  },
  {
    ...{ name: 'MNIST', weight: 6, checked: false },
    async make(folder) {
      const idx = (...sizes: number[]) => {
        const bytes = Buffer.alloc(4 + 4 * sizes.length + sizes.reduce((a, b) => a * b), 3);
        [0x0800 + sizes.length, ...sizes].forEach((size, i) => void bytes.writeUInt32BE(size, 4 * i));
        return bytes;
      };
      for (const part of ['train', 't10k']) {
        writeFileSync(join(folder, `${part}-images-idx3-ubyte`), idx(3, 2, 4));
        writeFileSync(join(folder, `${part}-labels-idx1-ubyte`), idx(3));
      }
    },
    read: async (directory) =>
      JSON.stringify(await mnist({ directory }), (_, v) => (v instanceof Uint8Array ? hex(v) : v)),
  },
  {
    ...{ name: 'run folder', weight: 1, checked: true },
    async make(folder) {
      const w = tf.tensor1d([1, 2]);
      const options = {
        parameters: { w },
        inputs: () => tf.scalar(1),
        steps: 3,
        optimizer: adam({ learningRate: 0.1 }),
      };
      const loss = ({ w }: Weights, x: tf.Tensor) => tf.sum(tf.square(tf.sub(w as tf.Tensor, x)));
      disposeState(await run(folder, (hooks) => optimize({ ...options, loss, emaDecay: 0.9, ...hooks })));
      w.dispose();
      // The lock of a process that is gone.
      const lock = await takeLock(join(folder, 'lock'));
      const owner = JSON.parse(readFileSync(join(folder, 'lock'), 'utf8'));
      await lock.release();
      writeFileSync(join(folder, 'lock'), JSON.stringify({ ...owner, pid: 2 ** 22 + 1 }));
    },
    expected: (folder) =>
      Promise.all(
        readdirSync(join(folder, 'checkpoints')).map((name) =>
          bitsAt(join(folder, 'checkpoints', name, 'state.safetensors')),
        ),
      ),
    async read(folder) {
      let bits = 'nothing';
      await run(folder, async ({ from }) => {
        if (from) bits = bitsOf(from);
        return (from ?? { step: 0 }) as OptimizeResult;
      });
      return bits;
    },
  },
];

const run = (folder: string, body: Parameters<typeof withRun>[1]) =>
  withRun(
    {
      ...{ folder, settings: { seed: 1, rate: [0.1, null] }, save: { steps: 1 }, keep: { last: 3 }, logEvery: 1 },
      ...{ signal: new AbortController().signal, say: () => {}, patience: 0 },
    },
    body,
  );
