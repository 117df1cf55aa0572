import { createHash } from 'node:crypto';
import { DamagedFile } from '@logsnr/io';
import { openZip, type Reading, withFile, withTensors } from '@logsnr/io/node';
import { inception } from '@logsnr/networks';
import { shapesOf } from '@logsnr/nn';
import { archiveNames, type LayerNames, STATE_DICT_LOGITS, stateDictNames } from './inception-names.js';

/** Inception's parameters by their paths in `inception` of `@logsnr/networks`, float32. */
export type InceptionValues = ReadonlyMap<string, Float32Array>;

/** The SHA-256 of the network of 2015-12-05: of its kernels' and biases' bytes, batch norm folded in, in its own order. */
export const INCEPTION_SHA256 = 'ef4535d8d78fa6bb03c54e270df7e48ad87394686996d19cfb4b55a6183711f7';

/** TensorFlow's batch norm of that network. */
const EPSILON = 1e-3;
const shapes = shapesOf(inception());
/** The classifier's map. */
export const LOGITS = 'logits.kernel';
/** The shapes of all parameters that a file may have. */
export const inceptionShapes = shapesOf(inception({ logits: true }));

/** Reads a tensor of a file by its name; it must have this shape. */
type Read = (name: string, shape: readonly number[]) => Promise<Float32Array>;

/**
 * The parameters in a file of a user's: a TorchScript archive of the network, a state dict of pytorch-fid or torchvision
 * (`torch.save` or safetensors), or safetensors under this project's own paths. Nothing in the file is run.
 * @throws DamagedFile where it is none of these, or a tensor is missing or of another shape.
 */
export const readInception = (path: string): Promise<InceptionValues> =>
  withFile(path, async (file) => {
    const archive = await archiveIn(file, path);
    if (archive) return folded(archive, archiveNames);
    return withTensors(path, async ({ entries, values }) => {
      const known = new Map(entries.map((entry) => [entry.name, entry]));
      const read: Read = async (name, shape) => {
        const entry = known.get(name) ?? fail(path, `it has no tensor "${name}"`);
        if (entry.shape.join() !== shape.join())
          fail(path, `"${name}" has shape [${entry.shape.join(', ')}], not [${shape.join(', ')}]`);
        const read = await values(entry);
        return read instanceof Float32Array ? read : fail(path, `"${name}" is ${entry.dtype}, not float32`);
      };
      if (known.has(Object.keys(shapes)[0] as string)) return unfolded(read, known.has(LOGITS));
      const found = await folded(read, stateDictNames);
      if (known.has(STATE_DICT_LOGITS)) {
        const [features = 0, classes = 0] = inceptionShapes[LOGITS] ?? [];
        const map =
          known.get(STATE_DICT_LOGITS)?.shape[0] === classes
            ? await read(STATE_DICT_LOGITS, [classes, features])
            : undefined;
        if (map)
          found.set(
            LOGITS,
            turned(map, classes, features, 1, () => 1),
          );
      }
      return found;
    });
  });

const fail = (path: string, what: string): never => {
  throw new DamagedFile(`${path} holds no weights of Inception: ${what}.`);
};

/** The SHA-256 of what makes the features. */
export function hashOf(values: InceptionValues): string {
  const hash = createHash('sha256');
  for (const name of Object.keys(shapes)) hash.update(values.get(name) ?? '');
  return hash.digest('hex');
}

/** The storages of a TorchScript archive by their numbers, as float32; undefined where the file is something else. */
async function archiveIn(file: Reading, path: string): Promise<Read | undefined> {
  const [p, k] = await file.read(0, Math.min(2, file.bytes));
  if (p !== 0x50 || k !== 0x4b) return undefined;
  const zip = await openZip(file, path);
  const root = [...zip.entries.keys()].find((name) => name.endsWith('/constants.pkl'))?.replace(/constants\.pkl$/, '');
  if (root === undefined) return undefined;
  return async (name, shape) => {
    const entry = zip.entries.get(`${root}data/${name}`) ?? fail(path, `it has no entry "${root}data/${name}"`);
    const bytes = 4 * shape.reduce((product, size) => product * size, 1);
    if (entry.size !== bytes) fail(path, `its entry "${entry.name}" has ${entry.size} bytes, not ${bytes}`);
    return new Float32Array((await file.read(await zip.startOf(entry), bytes)).buffer);
  };
}

async function unfolded(read: Read, logits: boolean): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  for (const [name, shape] of Object.entries(logits ? inceptionShapes : shapes))
    found.set(name, await read(name, shape));
  return found;
}

/** Convolutions with their batch norm: kernel = weight γ/√(variance + ε), bias = β − mean γ/√(variance + ε). */
async function folded(read: Read, layers: readonly LayerNames[]): Promise<Map<string, Float32Array>> {
  const found = new Map<string, Float32Array>();
  const kernels = Object.entries(shapes).filter(([name]) => name.endsWith('.kernel'));
  for (const [i, [name, [rows = 0, columns = 0, from = 0, to = 0]]] of kernels.entries()) {
    const layer = layers[i] as LayerNames;
    const weight = await read(layer.weight, [to, from, rows, columns]);
    const [beta, mean, variance] = [
      await read(layer.beta, [to]),
      await read(layer.mean, [to]),
      await read(layer.variance, [to]),
    ];
    const gamma = layer.gamma === undefined ? undefined : await read(layer.gamma, [to]);
    const scale = Float64Array.from(variance, (value, o) => (gamma?.[o] ?? 1) / Math.sqrt(value + EPSILON));
    found.set(
      name,
      turned(weight, to, from, rows * columns, (o) => scale[o] as number),
    );
    const bias = Float32Array.from(beta, (value, o) => value - (mean[o] as number) * (scale[o] as number));
    found.set(name.replace(/kernel$/, 'bias'), bias);
  }
  return found;
}

/** [to, from, pixels] → [pixels, from, to], times the scale of each `to`. */
export function turned(
  weight: Float32Array,
  to: number,
  from: number,
  pixels: number,
  scale: (o: number) => number,
): Float32Array {
  const kernel = new Float32Array(weight.length);
  for (let o = 0; o < to; o++)
    for (let c = 0; c < from; c++)
      for (let p = 0; p < pixels; p++)
        kernel[(p * from + c) * to + o] = (weight[(o * from + c) * pixels + p] as number) * scale(o);
  return kernel;
}
