// Loads checkpoints that were made to harm, and says how each is refused, in how much time and memory:
// `pnpm hostile-checkpoints [--json]`.

import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as zlib from 'node:zlib';
import { crcOf } from '@logsnr/io/node';
import { loadModel } from '@logsnr/pretrained';
import { useBackend } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs-core';

const fixtures = fileURLToPath(new URL('../packages/pretrained/test/fixtures', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'logsnr-hostile-'));
/** What a pickle that is run would leave. */
const trace = join(folder, 'was-run');
const crc: (data: Uint8Array) => number = zlib.crc32 ?? crcOf(0xedb88320);

interface Entry {
  name: string;
  data: Buffer;
  deflate?: boolean;
}

/** A zip file, of which nothing is checked. */
function zip(...entries: Entry[]): Buffer {
  const [parts, directory]: [Buffer[], Buffer[]] = [[], []];
  for (const { name, data, deflate = false } of entries) {
    const stored = deflate ? zlib.deflateRawSync(data) : data;
    const common = Buffer.alloc(26);
    common.writeUInt16LE(20, 0);
    common.writeUInt16LE(deflate ? 8 : 0, 4);
    [crc(data), stored.length, data.length].forEach((value, i) => void common.writeUInt32LE(value, 10 + 4 * i));
    common.writeUInt16LE(name.length, 22);
    const entry = Buffer.alloc(46);
    entry.write('PK\x01\x02\x14\0', 'latin1');
    common.copy(entry, 6);
    entry.writeUInt32LE(
      parts.reduce((sum, part) => sum + part.length, 0),
      42,
    );
    directory.push(Buffer.concat([entry, Buffer.from(name)]));
    parts.push(Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), common, Buffer.from(name), stored]));
  }
  const [local, central] = [Buffer.concat(parts), Buffer.concat(directory)];
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  [entries.length, entries.length].forEach((count, i) => void end.writeUInt16LE(count, 8 + 2 * i));
  [central.length, local.length].forEach((value, i) => void end.writeUInt32LE(value, 12 + 4 * i));
  return Buffer.concat([local, central, end]);
}

const text = (value: string) => `X${String.fromCharCode(value.length)}\0\0\0${value}`;
const pickle = (body: string): Entry => ({ name: 'archive/data.pkl', data: Buffer.from(`\x80\x02${body}.`, 'latin1') });
const storage: Entry = { name: 'archive/data/0', data: Buffer.alloc(64) };
/** Pickles of Python's own, which parity/checkpoints.py made. */
const pickles: readonly [name: string, base64: string][] = JSON.parse(
  readFileSync(fileURLToPath(new URL('../packages/io/test/fixtures/refused.json', import.meta.url)), 'utf8'),
);
const known = (wanted: string): Entry => ({
  ...pickle(''),
  data: Buffer.from(pickles.find(([name]) => name === wanted)?.[1] ?? '', 'base64'),
});

const bombed = Buffer.alloc(2 ** 27);

/** A case changes the files of `diffusers-unet` in a folder, or gives another file to load. */
type Make = (at: { unet: string; weights: string; config: string; index: string }) => unknown;

const header = (path: string, change: (header: Record<string, Described>) => void) => {
  const bytes = readFileSync(path);
  const length = Number(bytes.readBigUInt64LE());
  const value = JSON.parse(bytes.toString('utf8', 8, 8 + length));
  change(value);
  const again = Buffer.from(JSON.stringify(value));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(again.length));
  writeFileSync(path, Buffer.concat([size, again, bytes.subarray(8 + length)]));
};
interface Described {
  dtype: string;
  shape: number[];
  data_offsets: [number, number];
}
const json = (path: string, change: object) =>
  writeFileSync(path, JSON.stringify({ ...JSON.parse(readFileSync(path, 'utf8')), ...change }));
const shards = (path: string, ...names: string[]) =>
  writeFileSync(path, JSON.stringify({ weight_map: Object.fromEntries(names.map((name, i) => [`w${i}`, name])) }));
const [BIAS, WEIGHT] = ['conv_in.bias', 'conv_in.weight'] as const;

const cases: Readonly<Record<string, Make>> = {
  'safetensors cut in half': ({ weights }) => truncateSync(weights, readFileSync(weights).length >> 1),
  'safetensors without its last byte': ({ weights }) => truncateSync(weights, readFileSync(weights).length - 1),
  'an empty file': ({ weights }) => truncateSync(weights, 0),
  'other bytes': ({ weights }) => writeFileSync(weights, Buffer.alloc(4096, 0xab)),
  'a header of 2^62 bytes': ({ weights }) => {
    const bytes = readFileSync(weights);
    bytes.writeBigUInt64LE(2n ** 62n);
    writeFileSync(weights, bytes);
  },
  'offsets past the end': ({ weights }) =>
    header(weights, (value) => {
      const bias = value[BIAS] as Described;
      bias.data_offsets = [2 ** 40, 2 ** 40 + 8];
    }),
  'a tensor of 2^50 numbers': ({ weights }) =>
    header(weights, (value) => {
      (value[BIAS] as Described).shape = [2 ** 25, 2 ** 25];
    }),
  'tensors that overlap': ({ weights }) =>
    header(weights, (value) => {
      const [bias, weight] = [value[BIAS] as Described, value[WEIGHT] as Described];
      bias.data_offsets = [weight.data_offsets[0], weight.data_offsets[0] + 8];
    }),
  'a zip file cut in half': () => readFileSync(join(fixtures, 'dit.pt')).subarray(0, 15_000),
  'a pickle that calls os.system': () => zip(pickle(`cposix\nsystem\n(${text(`touch ${trace}`)}tR`), storage),
  'a pickle of a billion laughs': () => zip(known('billion laughs'), storage),
  'a pickle that contains itself': () => zip(known('ring'), storage),
  'a tensor past its storage': () => {
    const of = `(${text('storage')}ctorch\nFloatStorage\n${text('0')}${text('cpu')}J\xff\xff\xff\x7ftQ`;
    const tensor = `ctorch._utils\n_rebuild_tensor_v2\n(${of}K\0J\xff\xff\xff\x7f\x85K\x01\x85\x89}tR`;
    return zip(pickle(`}${text('w')}${tensor}s`), storage);
  },
  'a zip bomb for a pickle: 128 MB in 128 kB': () => zip({ ...pickle(''), data: bombed, deflate: true }, storage),
  'a zip bomb for a tensor: 128 MB in 128 kB': () => zip(pickle('}'), { ...storage, data: bombed, deflate: true }),
  'two entries of one name': () => zip(pickle('}'), storage, storage),
  'config.json of 64 MB': ({ config }) => writeFileSync(config, Buffer.alloc(2 ** 26, ' ')),
  'config.json that is no JSON': ({ config }) => writeFileSync(config, '{"_class_name": UNet2DModel}'),
  'config.json of 1,000,000 levels': ({ config }) => writeFileSync(config, '['.repeat(1e6)),
  'config.json of 400,000 levels, whole': ({ config }) =>
    writeFileSync(config, `{"a":${'['.repeat(4e5)}${']'.repeat(4e5)}}`),
  'config.json of another class': ({ config }) => json(config, { _class_name: 'UNet2DConditionModel' }),
  'config.json with a text for a number': ({ config }) => json(config, { layers_per_block: '2' }),
  'config.json with 10^9 layers': ({ config }) => json(config, { layers_per_block: 1e9 }),
  'config.json with 200,000 widths': ({ config }) =>
    json(config, { block_out_channels: Array.from({ length: 2e5 }, () => 4) }),
  'a transformer of as many layers as are accepted': ({ config }) =>
    writeFileSync(config, '{"_class_name":"DiTTransformer2DModel","num_layers":200}'),
  'a U-Net of as many layers as are accepted': ({ config }) => {
    const [down, up] = ['DownBlock2D', 'UpBlock2D'].map((type) => Array.from({ length: 10 }, () => type));
    const widths = Array.from({ length: 10 }, () => 2 ** 20);
    json(config, {
      ...{ sample_size: 512, layers_per_block: 16, block_out_channels: widths },
      ...{ down_block_types: down, up_block_types: up },
    });
  },
  'a scheduler with 100,001 betas': ({ unet }) =>
    json(join(unet, '../scheduler/scheduler_config.json'), { trained_betas: new Array(100_001).fill(1e-6) }),
  'a part outside the folder': ({ index }) => shards(index, '../../../../etc/passwd'),
  'a part by a full path': ({ index }) => shards(index, '/etc/passwd'),
  'a part that is a device': ({ unet, index }) => {
    shards(index, 'zero');
    symlinkSync('/dev/zero', join(unet, 'zero'));
  },
  '1,001 parts': ({ index }) => shards(index, ...Array.from({ length: 1001 }, (_, i) => `part-${i}`)),
  'a part that is not there': ({ index }) => shards(index, 'diffusion_pytorch_model-00001-of-00001.safetensors'),
};

/** Resident memory now, or the most of it since the last reset, in bytes. */
const resident = (what: 'VmRSS' | 'VmHWM') =>
  1024 * Number(new RegExp(`^${what}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1]);

interface Row {
  readonly name: string;
  readonly refusal: string | undefined;
  /** Processor time in ms. */
  readonly ms: number;
  /** Resident memory at its most, beyond what the process had before, in MB. */
  readonly mb: number;
}

async function rowOf(name: string, make: Make): Promise<Row> {
  const own = mkdtempSync(join(folder, 'case-'));
  const unet = join(own, 'unet');
  cpSync(join(fixtures, 'diffusers-unet'), own, { recursive: true });
  const weights = join(unet, 'diffusion_pytorch_model.safetensors');
  const [config, index] = [join(unet, 'config.json'), `${weights}.index.json`];
  const made = make({ unet, weights, config, index });
  const other = Buffer.isBuffer(made) ? made : undefined;
  if (other) writeFileSync(join(own, 'model.pt'), other);
  globalThis.gc?.();
  // The peak is counted anew from here.
  writeFileSync('/proc/self/clear_refs', '5');
  const [before, time] = [resident('VmRSS'), process.cpuUsage()];
  const dit = { height: 4, width: 4, channels: 2, outputs: 4, classes: 4, patch: 2, size: 8, depth: 2, heads: 2 };
  const spec = { network: { kind: 'dit', config: dit }, prediction: 'eps', variance: 'range' } as const;
  const loading = other ? loadModel(spec, join(own, 'model.pt')) : loadModel(own, { nullLabel: 10 });
  const refusal = await loading.then(
    ({ dispose }) => void dispose(),
    (error: Error) => error.message.replaceAll(own, '…'),
  );
  const { user, system } = process.cpuUsage(time);
  const row = { name, refusal, ms: (user + system) / 1000, mb: (resident('VmHWM') - before) / 2 ** 20 };
  rmSync(own, { recursive: true });
  return row;
}

await useBackend({ backend: 'cpu', quiet: true });
const rows: Row[] = [];
// The first load compiles code that all others use.
await rowOf('a valid folder', () => {});
for (const [name, make] of Object.entries(cases)) rows.push(await rowOf(name, make));
const ran = existsSync(trace);
rmSync(folder, { recursive: true });
if (ran) throw new Error(`a pickle was run: it made ${trace}.`);
/** A row of the docs' table: the words after the file's name, cut to a length. */
function line({ name, refusal = 'loaded', ms, mb }: Row): string {
  const words = refusal.split('\n')[0]?.replace(/^(the tensors in )?…\S* /, '') ?? '';
  const cut = words.length > 90 ? `${words.slice(0, 90).trimEnd()} …` : words;
  return `| ${name} | ${cut.replaceAll('|', '\\|')} | ${Math.ceil(ms)} | ${Math.max(0, mb).toFixed(1)} |`;
}

if (process.argv.includes('--json')) console.log(JSON.stringify({ rows, tensors: tf.memory().numTensors }));
else
  console.log(['| file | the error, after its name | ms | MB |', '| - | - | -: | -: |', ...rows.map(line)].join('\n'));
process.exit(0);
