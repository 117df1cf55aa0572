// What the page loads besides its code: the model and digits to train on. They are laid where Vite finds them.
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { mnist } from '@logsnr/data/node';
import type { Plugin } from 'vite';

/** Digits to train on. */
const DIGITS = 4000;
const FILES = ['model.json', 'model.safetensors'];

/** The folder with the model: that of LOGSNR_PLAYGROUND_MODEL, else models/mnist of the repository. */
const modelFolder = (): string =>
  process.env.LOGSNR_PLAYGROUND_MODEL || fileURLToPath(new URL('../../models/mnist', import.meta.url));

/** Lays the files in the folder from which Vite takes files as they are. */
export const assets = (folder: string): Plugin => ({
  name: 'assets',
  config: (_config, { isPreview }) => (isPreview ? undefined : lay(folder)),
});

/** Lays the files in a folder. @throws Error that says how to get a model where there is none. */
async function lay(folder: string): Promise<undefined> {
  const from = modelFolder();
  const missing = FILES.find((file) => !existsSync(join(from, file)));
  if (missing)
    throw new Error(
      `${from} has no ${missing}; set LOGSNR_PLAYGROUND_MODEL to a folder with ${FILES.join(' and ')}, such as \`pnpm logsnr train mnist\` and \`pnpm logsnr convert runs/mnist FOLDER\` make.`,
    );
  mkdirSync(join(folder, 'model'), { recursive: true });
  for (const file of FILES) copyFileSync(join(from, file), join(folder, 'model', file));
  const { train } = await mnist();
  const [labels, images] = [
    Uint8Array.from(train.labels.subarray(0, DIGITS)),
    train.images.subarray(0, DIGITS * 28 * 28),
  ];
  writeFileSync(join(folder, 'digits.bin'), gzipSync(Buffer.concat([labels, images]), { level: 9 }));
}
