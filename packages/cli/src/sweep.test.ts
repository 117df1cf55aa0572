import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { useBackend } from '@logsnr/tensorflow';
import { decode } from 'fast-png';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { call } from '../test/command.js';
import { writeTinyModel } from '../test/tiny-model.js';
import { readRecord } from './model-folder.js';
import { labelsOf } from './sweep-models.js';
import { sideBySide, tableCsv, tableMarkdown, tableText } from './sweep-table.js';

const folder = mkdtempSync(join(tmpdir(), 'logsnr-sweep-'));
const at = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(at(name), 'utf8');
beforeAll(async () => {
  await useBackend({ quiet: true });
  for (const [seed, pUncond] of [0.1, 0.2, 0.5].entries()) await writeTinyModel(at(`p${pUncond}`), { seed, pUncond });
});
afterAll(() => rmSync(folder, { recursive: true }));

const given = ['--w', '0,3', '--steps', '3', '--samples', '20', '--batch', '20', '--reference', 'mnist:test:40'];
const sweep = (models: string[], out: string, ...more: string[]) =>
  call('sweep', ...models.map(at), ...given, '--out', at(out), ...more);

test('a sweep of several models goes on from that of one, and has them side by side', {
  timeout: 400_000,
}, async () => {
  const alone = await sweep(['p0.1'], 'out', '--json');
  const [unguided] = JSON.parse(alone.stdout);
  expect(unguided).toMatchObject({ w: 0, steps: 3, samples: 20, fid: expect.any(Number) });
  expect(Object.keys(unguided)).not.toContain('model');
  expect(readdirSync(at('out/cells')).sort()).toEqual(['w0-T3.json', 'w0-T3.png', 'w3-T3.json', 'w3-T3.png']);
  expect(decode(readFileSync(at('out/guided.png'))).width).toBeGreaterThan(400);
  const settings = read('out/sweep.json');
  // In any order: the model that the folder was begun with keeps its cells.
  const { stderr, stdout, status } = await sweep(['p0.5', 'p0.1', 'p0.2'], 'out');
  expect([status, stderr.match(/20 images/g)]).toEqual([0, ['20 images', '20 images', '20 images', '20 images']]);
  expect(read('out/sweep.json')).toBe(settings);
  const { rows, tables } = JSON.parse(read('out/results.json'));
  const labels = ['p_uncond = 0.5', 'p_uncond = 0.1', 'p_uncond = 0.2'];
  expect(tables[0].models).toEqual(labels);
  const { seconds: _, ...scores } = unguided;
  expect(rows.find(({ model, w }: { model: string; w: number }) => model === labels[1] && w === 0)).toMatchObject(
    scores,
  );
  expect(new Set(rows.map(({ fid }: { fid: number }) => fid)).size).toBe(6);
  expect(stdout).toMatch(
    /^T = 3 sampling steps\nw {2}Fréchet distance, p_uncond = 0\.5 .* IS, p_uncond = 0\.2\n0 .*\n3 .*\n$/,
  );
  expect(read('out/table.md')).toContain(
    `| **${Math.min(tables[0].rows[0].fid[2], tables[0].rows[1].fid[2]).toFixed(3)}** |`,
  );
  expect(read('out/sweep.csv').split('\n')[0]).toBe('model,w,steps,samples,fid,is,isStd,seconds');
  for (const name of ['samples', 'guided', 'curve'])
    expect(decode(readFileSync(at(`out/${name}.png`))).width).toBeGreaterThan(400);
  // Again, nothing is left to do, and the tables are the same.
  const table = read('out/table.csv');
  expect((await sweep(['p0.5', 'p0.1', 'p0.2'], 'out')).stderr).not.toContain('images');
  expect(read('out/table.csv')).toBe(table);
});

test('what does not go together is said before any work', { timeout: 400_000 }, async () => {
  const refused = async (models: string[], message: RegExp, ...more: string[]) => {
    const { status, stderr } = await sweep(models, 'out', ...more);
    expect([status, stderr]).toEqual([1, expect.stringMatching(message)]);
  };
  await refused(['p0.1', 'p0.1'], /p0\.1 and .*p0\.1 have the same weights; name each model once\.\n$/);
  await refused(['p0.2', 'p0.5'], /a sweep with other settings: weights is .*, was .*Give another --out\.\n$/);
  const record = await readRecord(at('p0.2'));
  await writeTinyModel(at('other'), { seed: 9 });
  writeFileSync(at('other/model.json'), JSON.stringify({ ...record, data: { name: 'photos' } }));
  await refused(['p0.1', 'other'], /different data \(mnist, photos\); give --reference and --extractor/);
  writeFileSync(at('out/sweep.json'), 'null');
  await refused(['p0.1'], /sweep\.json is not what a sweep writes/);
});

test('a lock of another machine is named with what to do, and the sweep goes on without it', {
  timeout: 400_000,
}, async () => {
  const lock = {
    ...{ pid: 7, began: '1', host: 'elsewhere', machine: 'm', boot: 'b', namespace: 'n' },
    ...{ since: '2026-01-01T00:00:00.000Z', id: 'a' },
  };
  const leave = (name: string) => writeFileSync(at(name), JSON.stringify(lock));
  await sweep(['p0.2'], 'locked', '--w', '0');
  leave('locked/cells/w3-T3.lock');
  const first = await sweep(['p0.2'], 'locked', '--json');
  expect(first.stderr).toMatch(
    /w3-T3\.lock is held by process 7 of the machine elsewhere, which computes this cell since .*delete the file/,
  );
  expect(first.stderr).toContain('1 of 2 cells are under way elsewhere');
  expect(JSON.parse(first.stdout)).toHaveLength(1);
  rmSync(at('locked/cells/w3-T3.lock'));
  // One that guards the whole folder is waited for, and may be deleted meanwhile.
  leave('locked/sweep.lock');
  const going = sweep(['p0.2'], 'locked', '--json');
  const told = () => expect(String(vi.mocked(process.stderr.write).mock.calls)).toContain('Waiting');
  await vi.waitFor(told, { timeout: 200_000 });
  rmSync(at('locked/sweep.lock'));
  const { stderr, stdout, status } = await going;
  expect([status, JSON.parse(stdout)]).toEqual([
    0,
    [expect.objectContaining({ w: 0 }), expect.objectContaining({ w: 3 })],
  ]);
  expect(stderr).toMatch(
    /sweep\.lock is held by process 7 of the machine elsewhere.*delete the file.*Waiting for up to 3600 s/,
  );
});

test('models are named by what they differ in', async () => {
  const [a, b] = await Promise.all(['p0.1', 'p0.2'].map((name) => readRecord(at(name))));
  if (!a || !b) throw new Error('two records');
  expect(labelsOf([a], ['x'])).toEqual(['tiny']);
  expect(labelsOf([a, b], ['x', 'y'])).toEqual(['p_uncond = 0.1', 'p_uncond = 0.2']);
  const longer = { ...b, training: { pUncond: 0.2, steps: 2 } };
  expect(labelsOf([a, longer], ['x', 'y'])).toEqual(['x', 'y']);
  expect(labelsOf([a, { ...longer, name: 'long' }], ['x', 'y'])).toEqual(['tiny', 'long']);
});

test('the table has the best of each column, and a place for what is not there', () => {
  const row = (model: string, w: number, fid: number, is: number) => ({
    ...{ model, w, fid, is, steps: 8, samples: 20, isStd: 0, seconds: 1 },
  });
  const rows = [row('a', 1, 2, 9), row('a', 0, 3, 8), row('b, "c"', 0, 1, 7), { ...row('a', 1, 4, 4), steps: 16 }];
  const tables = sideBySide(rows, ['a', 'b, "c"']);
  expect(tables).toEqual([
    {
      ...{ steps: 8, models: ['a', 'b, "c"'] },
      rows: [
        { w: 0, fid: [3, 1], is: [8, 7] },
        { w: 1, fid: [2, null], is: [9, null] },
      ],
      best: { fid: [1, 0], is: [1, 0] },
    },
    {
      steps: 16,
      models: ['a', 'b, "c"'],
      rows: [{ w: 1, fid: [4, null], is: [4, null] }],
      best: { fid: [0, null], is: [0, null] },
    },
  ]);
  expect(tableMarkdown(tables).split('\n').slice(2, 6)).toEqual([
    '| w | Fréchet distance, a | Fréchet distance, b, "c" | IS, a | IS, b, "c" |',
    '| ---: | ---: | ---: | ---: | ---: |',
    '| 0 | 3.000 | **1.000** | 8.000 | **7.000** |',
    '| 1 | **2.000** |  | **9.000** |  |',
  ]);
  expect(tableText(tables)).toMatch(/^0 +3\.000 +\*1\.000 +8\.000 +\*7\.000$/m);
  expect(tableCsv(tables).split('\n')).toEqual([
    'steps,w,fid a,"fid b, ""c""",is a,"is b, ""c"""',
    ...['8,0,3,1,8,7', '8,1,2,,9,', '16,1,4,,4,'],
  ]);
});
