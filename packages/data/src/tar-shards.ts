import { readdir, stat } from 'node:fs/promises';
import { basename, join, posix, resolve } from 'node:path';
import { DamagedFile } from '@logsnr/io';
import { explained } from '@logsnr/io/node';
import * as v from 'valibot';
import type { ImageDataset } from './dataset.js';
import { nameOf } from './image-file.js';
import {
  type BrokenImage,
  checkOptions,
  datasetOfListing,
  type ImageFilesOptions,
  isImage,
  isRead,
  type Listed,
  type Listing,
} from './image-files.js';
import { remembered } from './remembered.js';
import { type Member, tarMembers } from './tar-members.js';

/**
 * The images in tar archives as a dataset, for sets of so many files that a folder is slow. `shards` is a folder, whose `.tar` files are
 * read in the order of their names, or the archives' paths. A class is told as WebDataset has it, `name.cls` with a number
 * beside each `name.jpg`, or by the folder that the image lies in within the archive; their order is that of the labels.
 *
 * The headers of an archive are read once and where each image begins is kept in the cache, by path, size and time of change. So any
 * image is read by its place, and a step's batch is drawn from all of the data. Images are made as `imageFolder` makes them. Nothing
 * is unpacked. Node only.
 * @throws RangeError where an archive is not sound, a label is missing, or as `imageFolder` does.
 */
export async function tarShards(shards: string | readonly string[], options: ImageFilesOptions): Promise<ImageDataset> {
  checkOptions(options);
  const paths = typeof shards === 'string' ? await archivesIn(shards) : shards;
  if (paths.length === 0) throw new RangeError('there are no shards; give the paths of tar archives, or their folder.');
  const found: Found[] = [];
  for (const path of paths) found.push(await indexOf(path, options.env));
  return datasetOfListing(listed(found, typeof shards === 'string' ? shards : paths.join(', ')), options);
}

async function archivesIn(path: string): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const names = (await readdir(path)).filter((name) => name.endsWith('.tar') && !name.startsWith('.')).sort();
    if (names.length === 0) throw new RangeError(`${path} has no .tar files.`);
    return names.map((name) => join(path, name));
  } catch (error) {
    throw explained(error, path, 'read');
  }
}

/** The images of an archive, name, offset and bytes, and the numbers in its `.cls` files by their names without `.cls`. */
const indexSchema = v.object({
  images: v.array(v.tuple([v.string(), v.number(), v.number()])),
  labels: v.array(v.tuple([v.string(), v.pipe(v.number(), v.safeInteger(), v.minValue(0))])),
});

interface Found extends v.InferOutput<typeof indexSchema> {
  readonly path: string;
  readonly changed: number;
}

async function indexOf(path: string, env: NodeJS.ProcessEnv | undefined): Promise<Found> {
  const { size, mtimeMs } = await stat(path).catch((error: unknown) => {
    throw explained(error, path, 'read');
  });
  const index = await remembered(['tar', resolve(path), size, mtimeMs], indexSchema, () => indexed(path), env);
  return { ...index, path, changed: mtimeMs };
}

async function indexed(path: string): Promise<v.InferOutput<typeof indexSchema>> {
  const [images, labels] = [new Map<string, Member>(), new Map<string, number>()];
  await tarMembers(path, async (member, file) => {
    const { name, offset, bytes } = member;
    if (posix.basename(name).startsWith('.')) return;
    const label = name.endsWith('.cls');
    if (!label && !isImage(name)) return;
    if (label ? labels.has(keyOf(name)) : images.has(name)) throw new DamagedFile(`${path} has "${name}" twice.`);
    if (!label) return void images.set(name, member);
    const text = bytes < 32 ? new TextDecoder().decode(await file.read(offset, bytes)).trim() : '';
    if (!/^\d{1,9}$/.test(text)) throw new DamagedFile(`${path}: ${name} has no number of a class, such as 7.`);
    labels.set(keyOf(name), Number(text));
  });
  if (images.size === 0) throw new DamagedFile(`${path} has no JPEG, PNG or WebP files.`);
  return {
    images: Array.from(images.values(), ({ name, offset, bytes }) => [name, offset, bytes]),
    labels: [...labels],
  };
}

/** WebDataset's key: the name up to the first dot of its last part. */
function keyOf(name: string): string {
  const folder = name.slice(0, name.length - posix.basename(name).length);
  return folder + posix.basename(name).split('.', 1)[0];
}

function listed(found: readonly Found[], where: string): Listing {
  const count = found.reduce((sum, { images }) => sum + images.length, 0);
  const numbered = found.some(({ labels }) => labels.length > 0);
  const all = found.flatMap(({ path, changed, images, labels }) => {
    const numbers = new Map(labels);
    return images.map(([member, offset, bytes]) => ({
      ...{ place: { path, member, offset, bytes }, changed },
      of: numbered ? numberOf(path, member, numbers.get(keyOf(member)), count) : folderOf(path, member),
    }));
  });
  const classNames = numbered
    ? Array.from({ length: 1 + all.reduce((most, { of }) => Math.max(most, Number(of)), 0) }, (_, label) => `${label}`)
    : [...new Set(all.map(({ of }) => of))].sort();
  const labels = new Map(classNames.map((name, label) => [name, label]));
  const [images, broken] = [[] as Listed[], [] as BrokenImage[]];
  for (const { place, changed, of } of all) {
    const name = nameOf(place);
    if (!isRead(place.member)) broken.push({ name, reason: `${name} is no JPEG, PNG or WebP. Convert it.` });
    else
      images.push({ place, changed, label: labels.get(of) as number, name: `${basename(place.path)}/${place.member}` });
  }
  return { where, classNames, images, broken };
}

/** The class that a `.cls` file says. Each class has images, so there are at most as many classes. */
function numberOf(path: string, member: string, label: number | undefined, count: number): string {
  if (label === undefined)
    throw new DamagedFile(`${path}: ${member} has no ${keyOf(member)}.cls beside it, as others have.`);
  if (label >= count)
    throw new DamagedFile(
      `${path}: ${member} is of class ${label}; classes are 0, 1, …, each with images, and there are ${count} images.`,
    );
  return `${label}`;
}

function folderOf(path: string, member: string): string {
  const folder = posix.dirname(member);
  if (folder !== '.') return folder;
  throw new DamagedFile(
    `${path}: ${member} has no class; it must lie in a folder of the class's name, or have ${keyOf(member)}.cls beside it.`,
  );
}
