import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bits, fold, type Key, key, normalNumbers, uniforms } from '@logsnr/core';
import { encodeSafetensors, type Stored } from '@logsnr/io';
import { type UnetConfig, unet } from '@logsnr/networks';
import { shapesOf } from '@logsnr/nn';
import { arctan } from '@logsnr/schedules';
import { drawDropped, drawLambda } from '@logsnr/training';
import { settings } from './cases.js';

const product = (shape: readonly number[]): number => shape.reduce((all, size) => all * size, 1);

export function normals(k: Key, shape: readonly number[], std = 1, mean = 0): Stored {
  const size = product(shape);
  const values = normalNumbers({ words: k.words, counter: 0, samples: 1, blocks: Math.ceil(size / 4) });
  return { shape, data: values.slice(0, size).map((value) => mean + std * value) };
}

/** Weights for a comparison: none is zero, as fresh ones would be, so that every part of the network counts. */
export function weightsOf(shapes: Readonly<Record<string, readonly number[]>>): Record<string, Stored> {
  const entries = Object.entries(shapes).map(([name, shape], i): [string, Stored] => {
    const k = fold(key(1), i);
    if (name === 'class.table') return [name, normals(k, shape)];
    if (shape.length === 1) return [name, normals(k, shape, 0.1, name.endsWith('gamma') ? 1 : 0)];
    return [name, normals(k, shape, 1 / Math.sqrt(product(shape.slice(0, -1))))];
  });
  return Object.fromEntries(entries);
}

function inputsOf({ height, width, channels, classes }: UnetConfig, batch: number): Record<string, Stored> {
  const k = key(2);
  const images = [batch, height, width, channels];
  const column = (data: Float32Array | Int32Array): Stored => ({ shape: [batch], data });
  const schedule = arctan({ lambdaMin: settings.lambdaMin, lambdaMax: settings.lambdaMax });
  const x = uniforms(fold(k, 0), product(images));
  return {
    x: { shape: images, data: Float32Array.from(x, (u) => 2 * u - 1) },
    z: normals(fold(k, 1), images),
    eps: normals(fold(k, 2), images),
    lambda: column(Float32Array.from(drawLambda(schedule, fold(k, 3), batch))),
    labels: column(Int32Array.from(bits(fold(k, 4), batch), (word) => word % classes)),
    dropped: column(Float32Array.from(drawDropped(fold(k, 5), batch, 0.1))),
  };
}

/** Writes the weights and the inputs that all variants share; gives the two files. */
export function prepare(folder: string, network: string, config: UnetConfig, batch: number) {
  const write = (what: string, tensors: Record<string, Stored>): string => {
    const file = join(folder, `${network}-${what}.safetensors`);
    writeFileSync(file, encodeSafetensors({ tensors, metadata: {} }));
    return file;
  };
  return {
    weights: write('weights', weightsOf(shapesOf(unet(config)))),
    inputs: write('inputs', inputsOf(config, batch)),
  };
}
