import type { Dirent } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { explained } from '@logsnr/io/node';
import type { ImageDataset } from './dataset.js';
import { forEach } from './for-each.js';
import {
  type BrokenImage,
  checkOptions,
  datasetOfListing,
  type ImageFilesOptions,
  isImage,
  isRead,
  type Listed,
} from './image-files.js';

/**
 * JPEG, PNG and WebP files as a dataset, `path/class/name.jpg`: a folder for each class, whose label is its place in the order of the
 * names. The folder is listed once and its files are checked; an image is read when a batch has it. Its shorter side is made `size`
 * and its middle cut out, byte for byte as ADM's training does with Pillow (Dhariwal & Nichol 2021, arXiv 2105.05233). Images are upright
 * where the file says how it lies, 16 bits a channel become the high 8, and colour profiles are left aside. Files of other
 * kinds, and those whose names begin with a dot, are left aside. Node only.
 * @throws RangeError where a file is broken (see `broken`), where there are no classes, or a class has too few images.
 */
export async function imageFolder(path: string, options: ImageFilesOptions): Promise<ImageDataset> {
  checkOptions(options);
  const entries = await entriesOf(path);
  const classNames = entries.filter((entry) => entry.folder).map(({ name }) => name);
  const loose = entries.find(({ name, folder }) => !folder && isImage(name));
  const layout = `${path} must have a folder for each class, with its images in it`;
  if (classNames.length === 0 && loose)
    throw new RangeError(
      `${layout}; it has images and no folders. Put them into one, such as ${join(path, 'all', loose.name)}.`,
    );
  if (classNames.length === 0)
    throw new RangeError(`${layout}; it has no folders. Give the folder above those of the classes.`);
  if (loose)
    throw new RangeError(`${join(path, loose.name)} lies beside the folders of the classes. Move it into one of them.`);
  const [images, broken] = [[] as Listed[], [] as BrokenImage[]];
  for (const [label, name] of classNames.entries()) await listClass(join(path, name), { name, label }, images, broken);
  return datasetOfListing({ where: path, classNames, images, broken }, options);
}

interface Entry {
  readonly name: string;
  readonly folder: boolean;
}

/** What is in a folder, in the order of the names; links count as what they lead to. */
async function entriesOf(folder: string): Promise<Entry[]> {
  const found = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw explained(error, folder, 'read');
  });
  const seen = found.filter(({ name }) => !name.startsWith('.') && name !== '__MACOSX');
  const entries = await Promise.all(
    seen.map(async (entry) => ({ name: entry.name, folder: await isFolder(folder, entry) })),
  );
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function isFolder(folder: string, entry: Dirent): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory();
  const stats = await stat(join(folder, entry.name)).catch(() => undefined);
  return stats?.isDirectory() ?? false;
}

async function listClass(
  folder: string,
  { name: className, label }: { name: string; label: number },
  images: Listed[],
  broken: BrokenImage[],
): Promise<void> {
  const entries = await entriesOf(folder);
  const deeper = entries.find((entry) => entry.folder);
  if (deeper)
    throw new RangeError(
      `${join(folder, deeper.name)} is a folder within that of a class. Images lie in CLASS/NAME; if "${className}" is a part of the data such as train, give ${folder}.`,
    );
  const found: (Listed | BrokenImage)[] = [];
  const files = entries.filter(({ name }) => isImage(name));
  await forEach(files, AT_ONCE, async ({ name }, i) => {
    found[i] = await listed(join(folder, name), `${className}/${name}`, label);
  });
  for (const one of found)
    if ('place' in one) images.push(one);
    else broken.push(one);
}

const AT_ONCE = 32;

async function listed(path: string, name: string, label: number): Promise<Listed | BrokenImage> {
  if (!isRead(path)) return { name: path, reason: `${path} is no JPEG, PNG or WebP. Convert it.` };
  try {
    const { size, mtimeMs } = await stat(path);
    return { place: { path, offset: 0, bytes: size }, label, name, changed: mtimeMs };
  } catch (error) {
    return { name: path, reason: explained(error, path, 'read').message };
  }
}
