import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decode } from 'fast-png';
import { createTar } from 'nanotar';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cifar10Files, writeFiles } from '../../../test/cifar10-files.js';
import { call, processesIn } from '../test/command.js';

const folder = mkdtempSync(join(tmpdir(), 'logsnr-train-'));
const at = (name: string) => join(folder, name);
// nanotar leaves out the two empty blocks that end an archive.
const tar = (members: Parameters<typeof createTar>[0]) => Buffer.concat([createTar(members), Buffer.alloc(1024)]);
const weights = (name: string) => readFileSync(at(`${name}/model.safetensors`));
const files = await cifar10Files(200);
beforeAll(() => writeFiles(at('images'), files));
afterAll(() => rmSync(folder, { recursive: true }));

// ImageNet's network with few channels, on maps of 16 pixels, to which the images of 32 are made smaller.
const small = ['imagenet64', '--size', '16', '--base', '2', '--batch', '2', '--seed', '1'];
const train = (data: string, out: string, ...more: string[]) =>
  call('train', ...small, '--data', at(data), '--out', at(out), ...more);

test('imagenet64 at reduced width, killed, goes on to the same weights', { timeout: 240_000 }, async () => {
  const more = ['--data', 'images', '--steps', '3'];
  await processesIn(folder).killed(
    'killed/checkpoints/step-00000001/manifest.json',
    'train',
    ...small,
    ...more,
    '--out',
    'killed',
  );
  const { status, stderr } = await train('images', 'killed', '--steps', '3');
  expect([status, stderr]).toEqual([0, expect.stringMatching(/going on after step [123]/)]);
  expect(await train('images', 'whole', '--steps', '3')).toMatchObject({ status: 0 });
  expect(weights('killed').equals(weights('whole'))).toBe(true);
  expect(JSON.parse(readFileSync(at('whole/model.json'), 'utf8'))).toMatchObject({
    network: { config: { height: 16, base: 2, multipliers: [1, 2, 3, 4], classes: 10, nullClass: true } },
    ...{ prediction: 'eps', data: { count: 200 } },
  });
});

test('shards train as the folder of the same images does, go on, and name a member that is broken', {
  timeout: 240_000,
}, async () => {
  const shards = [files.slice(0, 90), files.slice(90)].map((members, i) => ({
    name: `shard-${i}.tar`,
    data: tar(members),
  }));
  writeFiles(at('shards'), shards);
  expect(await train('shards', 'sharded', '--steps', '1')).toMatchObject({ status: 0 });
  expect(await train('shards', 'sharded', '--steps', '3')).toMatchObject({
    stderr: expect.stringContaining('going on after step 1'),
  });
  expect(weights('sharded').equals(weights('whole'))).toBe(true);
  const broken = files.map((file, i) => (i === 7 ? { ...file, data: file.data.subarray(0, 99) } : file));
  writeFiles(at('spoilt'), [{ name: 'a.tar', data: tar(broken) }]);
  const { status, stderr } = await train('spoilt', 'none', '--steps', '1');
  expect([status, stderr]).toEqual([
    1,
    expect.stringMatching(new RegExp(`^logsnr: (.*\\n)*.*a\\.tar.*${files[7]?.name}`)),
  ]);
});

test('without a native library the command trains and samples', { timeout: 240_000 }, () => {
  const { run } = processesIn(folder, { LOGSNR_BACKEND: 'wasm' });
  const trained = run('train', 'mnist', '--base', '4', '--batch', '2', '--steps', '2', '--out', 'wasm', '--json');
  expect([trained.status, JSON.parse(trained.stdout)]).toEqual([0, expect.objectContaining({ step: 2, skipped: 0 })]);
  const drawn = run('sample', 'wasm', '--count', '2', '--steps', '2', '--w', '1', '--out', 'drawn', '--json');
  expect([drawn.status, JSON.parse(drawn.stdout)]).toEqual([0, expect.objectContaining({ backend: 'wasm' })]);
  expect(decode(readFileSync(at('drawn/000001.png')))).toMatchObject({ width: 28, height: 28, channels: 1 });
});
