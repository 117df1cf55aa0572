import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { open, picture } from '../test/open-png.js';
import { encodePng, writePng } from './index.js';

test('encodePng keeps every pixel', () => {
  const png = open(encodePng(picture(2, [1, 2, 3], [4, 5, 6], [7, 8, 9], [255, 0, 128])));
  expect([png.width, png.height, png.channels]).toEqual([2, 2, 3]);
  expect([png.at(0, 0), png.at(1, 0), png.at(0, 1), png.at(1, 1)]).toEqual([
    [1, 2, 3],
    [4, 5, 6],
    [7, 8, 9],
    [255, 0, 128],
  ]);
  expect(() => encodePng({ data: new Uint8Array(5), width: 1, height: 2 })).toThrow('has 5 bytes');
});

test('writePng makes the folder, replaces the file, and leaves nothing half done', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'logsnr-figures-'));
  try {
    const file = join(folder, 'new', 'a.png');
    await writePng(file, Uint8Array.of(1));
    await writePng(file, Uint8Array.of(2, 3));
    expect([...(await readFile(file))]).toEqual([2, 3]);
    await mkdir(join(folder, 'new', 'b.png'));
    await expect(writePng(join(folder, 'new', 'b.png'), Uint8Array.of(4))).rejects.toThrow();
    expect((await readdir(join(folder, 'new'))).sort()).toEqual(['a.png', 'b.png']);
  } finally {
    await rm(folder, { recursive: true });
  }
});
