import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { fold, gaussianMixture, key, normalNumbers, uniforms } from '@logsnr/core';
import { describe, expect, test } from 'vitest';
import { CELLS, densityOf, distance, drawnShares, sharesOf, tiltedShares } from '../scripts/tilted-density.js';
import { evenGrid, readMixture } from '../scripts/tilted-mixture.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'tilted-'));

const tilted = (...given: string[]) => {
  const program = ['--import', 'tsx', 'scripts/tilted.ts', ...given];
  const env = { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` };
  const { status, stdout, stderr } = spawnSync(process.execPath, program, { cwd: root, encoding: 'utf8', env });
  return { status, stdout, stderr };
};

const written = (name: string, content: unknown): string => {
  const file = join(folder, name);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
};

/** Unequal weights and deviations, two Gaussians of the class, and one of another class within one of them. */
const components = [
  { mean: [-1, 0.5], std: 0.6, weight: 2, label: 3 },
  { mean: [1.2, -0.4], std: 0.4, weight: 0.7, label: 3 },
  { mean: [-0.6, 0.3], std: 0.3, weight: 1, label: 5 },
  { mean: [0.3, 1.4], std: 0.9, weight: 3, label: 0 },
];

describe('the tilted density on cells', () => {
  /** Of x ~ p(x|c), each kept with probability p(c|x)^w. */
  function kept(w: number, n: number): number[] {
    const mixture = gaussianMixture(components);
    const own = components.filter(({ label }) => label === 3);
    const normals = normalNumbers({ words: key(2).words, counter: 0, samples: n, blocks: 1 });
    const [pick, keep] = [uniforms(fold(key(2), 1), n), uniforms(fold(key(2), 2), n)];
    const points: number[] = [];
    for (let i = 0; i < n; i++) {
      const part = own[(pick[i] as number) < 2 / 2.7 ? 0 : 1] as (typeof own)[number];
      const x = part.mean.map((mean, j) => mean + part.std * (normals[4 * i + j] as number));
      const log = mixture.logDensity(x, 60, 3) + Math.log(2.7 / 6.7) - mixture.logDensity(x, 60);
      if ((keep[i] as number) < Math.exp(w * log)) points.push(...x);
    }
    return points;
  }

  test.each([0, 0.5, 3])('is that of samples by rejection, w = %d', (w) => {
    const exact = tiltedShares(components, 3, w);
    expect(exact.reduce((sum, share) => sum + share)).toBeCloseTo(1, 9);
    const points = kept(w, 60_000);
    const floor = distance(drawnShares(exact, points.length / 2, key(4)), exact);
    expect(Math.abs(distance(sharesOf(points), exact) / floor - 1)).toBeLessThan(0.1);
    expect(distance(tiltedShares(components, 3, w + 0.5), exact)).toBeGreaterThan(0.02);
  });

  test('is what is wanted for w < 0: at −1 the mixture', () => {
    const all = tiltedShares(
      components.map((part) => ({ ...part, label: 0 })),
      0,
      0,
    );
    expect(distance(tiltedShares(components, 3, -1), all)).toBeLessThan(1e-9);
  });

  test('counts what is outside of the square as one cell', () => {
    const far = [{ mean: [4, 0], std: 0.5, weight: 1, label: 0 }];
    const shares = tiltedShares(far, 0, 2);
    expect(shares[CELLS ** 2]).toBeCloseTo(0.5, 4);
    expect(sharesOf([9, 0, 0.05, -3.95, Number.NaN, 0, -4, 3.9])[CELLS ** 2]).toBeCloseTo(0.5, 12);
    expect(sharesOf([0.05, -3.95])[40]).toBe(1);
    expect(densityOf(shares)).toHaveLength(CELLS ** 2);
  });

  test('keeps its whole where deviations are far apart, and where all is far from the centre', () => {
    const narrow = [
      { mean: [0.31, 0.2], std: 0.02, weight: 1, label: 0 },
      { mean: [0.3, 0.2], std: 1, weight: 5, label: 0 },
      { mean: [0, 0], std: 0.1, weight: 1, label: 1 },
    ];
    for (const w of [0.5, 4]) expect(tiltedShares(narrow, 0, w).reduce((a, b) => a + b)).toBeCloseTo(1, 3);
    const away = narrow.map((part) => ({ ...part, mean: part.mean.map((value) => value + 500) }));
    expect(tiltedShares(away, 0, 2)[CELLS ** 2]).toBeCloseTo(1, 9);
  });
});

test('pnpm tilted: correctors come near to the density that guidance misses', () => {
  const run = (mixture: string, w: string) => {
    const json = join(folder, 'out', 'found.json');
    const found = tilted('--mixture', mixture, '--w', w, '--particles', '20000', '--steps', '60', '--json', json);
    expect(found).toMatchObject({ status: 0 });
    expect(JSON.parse(found.stdout)).toEqual(JSON.parse(readFileSync(json, 'utf8')));
    return JSON.parse(found.stdout) as Record<'plain' | 'corrected' | 'floor', number>;
  };
  const three = run('examples/mixture/triangle.json', '2');
  expect(Object.keys(three)).toEqual(['plain', 'corrected', 'floor']);
  expect(three.plain).toBeGreaterThan(0.2);
  expect(three.corrected).toBeLessThan(0.09);
  expect(three.floor).toBeCloseTo(0.062, 2);
  const hard = run(written('hard.json', { components, class: 3 }), '3');
  expect(hard.plain).toBeGreaterThan(0.2);
  expect(hard.corrected).toBeLessThan(1.8 * hard.floor);
}, 300_000);

test('a file that is no mixture is refused, with the place', async () => {
  const one = { mean: [0, 0], std: 1, weight: 1, label: 0 };
  const wrong: [content: unknown, says: RegExp][] = [
    ['components', /wrong\.json is not JSON: /],
    [{ components, class: 4 }, /the class is 4; it must be the label of a component: 0, 3, 5\./],
    [{ components }, /wrong\.json, at class: Invalid key: Expected "class"/],
    [{ components: [], class: 0 }, /at components: Invalid length/],
    [{ components: [{ ...one, std: 0 }], class: 0 }, /at components\.0\.std: Invalid value: Expected >0/],
    [{ components: [{ ...one, mean: [0] }], class: 0 }, /at components\.0\.mean/],
    [{ components: [{ ...one, sd: 1 }], class: 0 }, /at components\.0\.sd/],
    [{ components: [{ ...one, weight: -1 }], class: 0 }, /at components\.0\.weight/],
    [{ components: [{ ...one, label: 0.5 }], class: 0 }, /at components\.0\.label/],
  ];
  for (const [content, says] of wrong) await expect(readMixture(written('wrong.json', content))).rejects.toThrow(says);
  await expect(readMixture(join(folder, 'none.json'))).rejects.toThrow(/none\.json is missing; give the JSON file/);
  const { parts, label } = await readMixture(written('good.json', { components, class: 3 }));
  expect({ label, labels: parts.map((part) => part.label) }).toEqual({ label: 1, labels: [1, 1, 2, 0] });
});

test('the grid is even, and wider for what is far or narrow', () => {
  const at = (mean: number, std: number) => evenGrid([{ mean: [mean, 0], std, weight: 1, label: 0 }], 5);
  expect(at(0.9, 0.5)).toEqual([-10, -5, 0, 5, 10]);
  expect(at(100, 0.5)[0]).toBeCloseTo(-10 - 2 * Math.log(100), 9);
  expect(at(0, 0.05)[4]).toBeCloseTo(10 + 2 * Math.log(10), 9);
});

test('pnpm tilted refuses wrong options before any work', () => {
  const good = written('good.json', { components, class: 3 });
  const wrong: [given: string[], says: RegExp][] = [
    [[], /^tilted: --mixture is missing\.\n\npnpm tilted --mixture FILE/],
    [['--mixture', good, '--w', '-1.5'], /^tilted: --w is -1.5; it must be at least −1/],
  ];
  for (const [given, says] of wrong) {
    const { status, stdout, stderr } = tilted(...given);
    expect(stderr).toMatch(says);
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
  }
  expect(tilted('--help')).toMatchObject({ status: 0, stdout: expect.stringContaining('--curves PNG') });
}, 300_000);
