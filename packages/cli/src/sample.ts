import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fold, key } from '@logsnr/core';
import { encodePng, imageGrid, imagePngs, writePng } from '@logsnr/figures';
import { piecesOf, replaceFile, say } from '@logsnr/io/node';
import { useBackend } from '@logsnr/tensorflow';
import { slice, type Tensor4D } from '@tensorflow/tfjs-core';
import type { Command } from 'commander';
import { addDrawing, type Drawing, drawerOf } from './methods.js';
import { type LoadedFolder, openModel } from './model-folder.js';
import { finite, haveFolder, integer, share, words } from './options.js';

interface Options extends Drawing {
  class?: string[];
  w: number;
  count: number;
  steps: number;
  seed: number;
  batch: number;
  out: string;
  overwrite?: boolean;
  json?: boolean;
}

/** The grid shows no more. */
const SHOWN = 400;

/** `logsnr sample`: images of a model, with guidance. */
export function addSample(program: Command): void {
  const command = program
    .command('sample')
    .description('draw images from a model with guidance: a PNG each, a grid, and what was done as JSON')
    .argument(
      '<model>',
      'a run folder, a checkpoint in one, a model folder, or NAME of an installed @logsnr/model-NAME',
    )
    .option('--class <list>', 'what the images show, in turn: labels or names of classes (default: all)', words)
    .option('--w <w>', 'the guidance weight; 0 is no guidance', finite, 1)
    .option('--count <n>', 'how many', integer(1), 10)
    .option('--steps <T>', 'sampling steps', integer(2), 32);
  addDrawing(command, share)
    .option('--seed <n>', 'seed of the noise', integer(0), 0)
    .option('--batch <n>', 'images at once; it changes no image but for rounding', integer(1), 16)
    .option('--out <folder>', 'where they go', 'samples')
    .option('--overwrite', 'write into a folder that has files')
    .option('--json', 'print what was done as one line of JSON')
    .addHelpText(
      'after',
      `
Image i depends on the seed, on i and on its class alone: --count 20 begins with the images of --count 10.

Examples:
  logsnr sample runs/mnist --class 7 --w 2
  logsnr sample mnist --class 3,5 --count 20 --steps 64 --sampler ddim --out threes-and-fives
  logsnr sample runs/cifar10 --class cat --w 1.5 --guidance apg
  logsnr sample runs/cifar10 --guidance '{"method": "cfg-cache", "every": 2}'`,
    )
    .action(run);
}

async function run(from: string, options: Options): Promise<void> {
  const { w, count, steps, seed, batch, out, overwrite, json, sampler, v, guidance, precision } = options;
  if (!overwrite && (await readdir(out).catch(() => [])).length > 0)
    throw new RangeError(`${out} has files already; give another --out, or --overwrite.`);
  const { backend } = await useBackend({ quiet: json ?? false });
  const model = await openModel(from);
  try {
    const classes = classesOf(model, options.class);
    const drawing = { sampler, v, guidance, precision, w, steps };
    const drawer = await drawerOf(model, { ...drawing, key: fold(key(seed), 4) });
    const labels = Array.from({ length: count }, (_, i) => classes[i % classes.length] as number);
    const images: { file: string; label: number }[] = [];
    const shown: number[] = [];
    await haveFolder(out);
    const began = performance.now();
    try {
      for (let first = 0; first < count; first += batch) {
        const own = labels.slice(first, first + batch);
        const drawn = drawer.draw(first, own) as Tensor4D;
        try {
          for (const [i, png] of imagePngs(drawn).entries()) {
            const file = `${String(first + i).padStart(6, '0')}.png`;
            await writePng(join(out, file), png);
            images.push({ file, label: own[i] as number });
          }
          shown.push(...firstOf(drawn, SHOWN - first));
        } finally {
          drawn.dispose();
        }
        say(`${Math.min(count, first + batch)} of ${count} images`);
      }
    } finally {
      drawer.dispose();
    }
    const [height, width, channels] = model.image;
    const shape = [Math.min(count, SHOWN), height, width, channels] as const;
    await writePng(join(out, 'grid.png'), encodePng(imageGrid({ data: shown, shape })));
    const done = {
      ...{
        model: from,
        weights: model.file,
        name: model.record.name,
        ...drawing,
        guidance: drawer.guidance,
        seed,
        backend,
      },
      ...{ seconds: (performance.now() - began) / 1000, images },
    };
    await replaceFile(join(out, 'samples.json'), piecesOf(`${JSON.stringify(done, null, 2)}\n`));
    console.log(json ? JSON.stringify(done) : `${out}: ${count} images, grid.png, samples.json`);
  } finally {
    model.dispose();
  }
}

function firstOf(images: Tensor4D, count: number): Float32Array {
  if (count <= 0) return new Float32Array();
  const first = slice(images, 0, Math.min(count, images.shape[0]));
  try {
    return first.dataSync<'float32'>();
  } finally {
    first.dispose();
  }
}

/** The labels of classes by number or name; all of them unless given. @throws RangeError on one that the model has not. */
export function classesOf(
  { conditioning: { classes }, record }: LoadedFolder,
  asked: readonly string[] | undefined,
): number[] {
  const names = record.classNames ?? [];
  const all = Array.from({ length: classes }, (_, label) => label);
  return (
    asked?.map((text) => {
      const named = names.indexOf(text);
      const label = named >= 0 ? named : text.trim() === '' ? -1 : Number(text);
      if (all.includes(label)) return label;
      const known = names.length > 0 && names.length <= 100 ? `, or of ${names.join(', ')}` : '';
      throw new RangeError(`there is no class "${text}"; the labels of this model are 0 … ${classes - 1}${known}.`);
    }) ?? all
  );
}
