import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { main, readRecord } from '@logsnr/cli';
import { extract } from '@logsnr/evaluation';
import { type PackagedClassifier, packagedClassifier } from '@logsnr/evaluation/node';
import * as tf from '@tensorflow/tfjs-core';
import { decode } from 'fast-png';
import { afterAll, describe, expect, test } from 'vitest';

// The models that come as packages: `logsnr sample NAME` draws what was asked for, and a classifier reads it so.
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'logsnr-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe.each(readdirSync(`${root}/models`))('@logsnr/model-%s', (name) => {
  const home = `${root}/models/${name}`;

  test('has a record, weights below 10 MB, a picture and a card that names its training', async () => {
    const record = await readRecord(home);
    expect(record).toMatchObject({ name, data: { name, sha256: expect.any(String) }, training: { pUncond: 0.1 } });
    expect(statSync(`${home}/model.safetensors`).size).toBeLessThan(1e7);
    const card = readFileSync(`${home}/README.md`, 'utf8');
    expect(card).toContain(`logsnr train ${name} --steps ${(record.training as { steps: number }).steps}`);
    expect(card).toContain('samples.png');
    const { files } = JSON.parse(readFileSync(`${home}/package.json`, 'utf8'));
    expect(readdirSync(home)).toEqual(expect.arrayContaining([...files, 'README.md']));
  });

  test('draws each class as a classifier reads it, from the same noise more surely with guidance', async () => {
    const judge = await packagedClassifier(name as PackagedClassifier);
    const right: number[] = [];
    for (const w of ['0', '2']) {
      const out = join(folder, `${name}-${w}`);
      expect(
        await main(['sample', name, '--w', w, '--count', '60', '--steps', '16', '--batch', '60', '--out', out]),
      ).toBe(0);
      const { images } = JSON.parse(readFileSync(join(out, 'samples.json'), 'utf8')) as {
        images: { file: string; label: number }[];
      };
      const pixels = images.map(({ file }) => decode(readFileSync(join(out, file))));
      const { height, width, channels } = pixels[0] as (typeof pixels)[number];
      const values = Float32Array.from(
        pixels.flatMap(({ data }) => [...data]),
        (byte) => Number(byte) / 127.5 - 1,
      );
      const batch = tf.tensor4d(values, [images.length, height, width, channels]);
      const { probabilities } = await extract((part) => {
        const { features, probabilities } = judge.read(part);
        return { features, logits: tf.log(probabilities as tf.Tensor2D) };
      }, batch);
      batch.dispose();
      const read = images.filter(({ label }, i) => {
        const row = Array.from({ length: 10 }, (_, k) => probabilities.data[10 * i + k] as number);
        return row.indexOf(Math.max(...row)) === label;
      });
      right.push(read.length / images.length);
    }
    judge.dispose();
    expect(right[1]).toBeGreaterThan(0.9);
    expect(right[1]).toBeGreaterThan(right[0] as number);
  });

  test('works on WebAssembly, in a process of its own', { timeout: 240_000 }, () => {
    const out = join(folder, `${name}-wasm`);
    const { status, stderr } = spawnSync(
      process.execPath,
      [
        ...['--import', import.meta.resolve('tsx'), `${root}/packages/cli/src/bin.ts`],
        ...['sample', name, '--class', '7', '--count', '1', '--steps', '2', '--out', out],
      ],
      {
        cwd: root,
        encoding: 'utf8',
        env: { ...process.env, LOGSNR_BACKEND: 'wasm', TSX_TSCONFIG_PATH: `${root}/tsconfig.json` },
      },
    );
    expect([status, stderr]).toEqual([0, expect.stringContaining('wasm')]);
    expect(readdirSync(out).sort()).toEqual(['000000.png', 'grid.png', 'samples.json']);
  });
});
