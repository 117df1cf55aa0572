import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { cacheFolder, makeFolder, piecesOf, readText, replaceFile, say } from '@logsnr/io/node';
import * as v from 'valibot';

/**
 * What `make` found out about files as they are, from the cache where it was found out before. `about` names all that it depends
 * on, such as path, size and time of change.
 */
export async function remembered<T>(
  about: readonly unknown[],
  schema: v.GenericSchema<T>,
  make: () => Promise<T>,
  env: NodeJS.ProcessEnv = process.env,
): Promise<T> {
  const name = createHash('sha256').update(JSON.stringify(about)).digest('hex');
  const path = join(cacheFolder(env), 'data', `${name}.json`);
  const before = await recalled(path, schema);
  if (before !== undefined) return before;
  const value = await make();
  try {
    await makeFolder(dirname(path), { mode: 0o700 });
    await replaceFile(path, piecesOf(JSON.stringify(value)));
  } catch (error) {
    say(`what was found out about the data is not kept: ${(error as Error).message}`);
  }
  return value;
}

/** What is kept, or undefined where it is not there or cannot be used. */
async function recalled<T>(path: string, schema: v.GenericSchema<T>): Promise<T | undefined> {
  try {
    const parsed = v.safeParse(schema, JSON.parse((await readText(path)) ?? ''));
    return parsed.success ? parsed.output : undefined;
  } catch {
    return undefined;
  }
}
