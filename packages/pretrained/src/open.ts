import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { DamagedFile } from '@logsnr/io';
import { explained, faultOf, type OpenTensors, readText, withTensors } from '@logsnr/io/node';
import * as v from 'valibot';

/** The names under which diffusers saves a model's tensors. */
const WEIGHTS = 'diffusion_pytorch_model';
/** An index or a configuration has some kB. */
const LONGEST = 2 ** 20;

/** Whether a path is a folder. */
export const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (stats) => stats.isDirectory(),
    (error: unknown) => {
      throw explained(error, path, 'read');
    },
  );

/**
 * Opens a file of tensors, or those of a folder of diffusers: one file, or the parts that its index names.
 * @throws RangeError where a folder has no such file; DamagedFile on what is not well formed.
 */
export async function withWeights<R>(path: string, body: (file: OpenTensors) => Promise<R>): Promise<R> {
  if (!(await isFolder(path))) return withTensors(path, body);
  const index = join(path, `${WEIGHTS}.safetensors.index.json`);
  const shards = await readJson(index, indexSchema);
  if (shards)
    return withAll(
      [...new Set(Object.values(shards.weight_map))].map((name) => join(path, name)),
      body,
    );
  for (const name of [`${WEIGHTS}.safetensors`, `${WEIGHTS}.bin`]) {
    const file = join(path, name);
    if (await isThere(file)) return withTensors(file, body);
  }
  throw new RangeError(
    `${path} has no ${WEIGHTS}.safetensors, no index of its parts and no ${WEIGHTS}.bin, which diffusers saves a model in. Give its folder "unet" or "transformer", or one file.`,
  );
}

const indexSchema = v.object({
  weight_map: v.pipe(
    v.record(
      v.string(),
      v.pipe(v.string(), v.regex(/^[\w-][\w.-]*$/, 'a part is a file of the same folder, by its name')),
    ),
    v.check((map) => new Set(Object.values(map)).size <= 1000, 'at most 1000 parts are read'),
  ),
});

export const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** Several files as one. */
async function withAll<R>(paths: readonly string[], body: (file: OpenTensors) => Promise<R>): Promise<R> {
  const open = (left: readonly string[], opened: readonly OpenTensors[]): Promise<R> => {
    const [next, ...rest] = left;
    if (next !== undefined) return withTensors(next, (file) => open(rest, [...opened, file]));
    return body(joined(paths, opened));
  };
  return open(paths, []);
}

function joined(paths: readonly string[], files: readonly OpenTensors[]): OpenTensors {
  const owners = new Map<string, OpenTensors>();
  for (const [i, file] of files.entries())
    for (const { name } of file.entries) {
      if (owners.has(name)) throw new DamagedFile(`${paths[i]} has "${name}", which an earlier part has too.`);
      owners.set(name, file);
    }
  return {
    entries: files.flatMap(({ entries }) => entries),
    metadata: {},
    values: ({ name }) => {
      const owner = owners.get(name);
      if (!owner) throw new RangeError(`no part has a tensor "${name}".`);
      return owner.values({ name });
    },
  };
}

/**
 * The value of a JSON file, or undefined where there is none.
 * @throws DamagedFile on what is not JSON, or not as the schema says.
 */
export async function readJson<S extends v.GenericSchema>(
  path: string,
  schema: S,
): Promise<v.InferOutput<S> | undefined> {
  const text = await readText(path, LONGEST);
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new DamagedFile(`${path} is not JSON: ${(error as Error).message.slice(0, 200)}.`);
  }
  const { success, output, issues } = v.safeParse(schema, value);
  if (!success) throw new DamagedFile(`${path} is not what diffusers writes: ${faultOf(issues)}.`);
  return output;
}
