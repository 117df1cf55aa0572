import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cifar10Batch } from '@logsnr/data/node';
import { encode } from 'fast-png';

/** The first test images of CIFAR-10 as PNG files `class/number.png`, in the order in which a folder of them is listed. */
export async function cifar10Files(count: number): Promise<{ name: string; data: Uint8Array }[]> {
  const { images, labels } = await cifar10Batch('test_batch');
  const files = Array.from({ length: count }, (_, i) => ({
    name: `${labels[i]}/${String(i).padStart(4, '0')}.png`,
    data: encode({ data: images.slice(i * 3072, (i + 1) * 3072), width: 32, height: 32, channels: 3 }),
  }));
  return files.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Writes files below a folder. */
export function writeFiles(folder: string, files: readonly { name: string; data: Uint8Array | string }[]): void {
  for (const { name, data } of files) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), data);
  }
}
