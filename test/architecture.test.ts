import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const packages = readdirSync(`${root}/packages`);
const sourcesOf = (name: string) =>
  (readdirSync(`${root}/packages/${name}/src`, { recursive: true }) as string[])
    .filter((file) => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .map((file) => [file, readFileSync(`${root}/packages/${name}/src/${file}`, 'utf8')] as const);
const importsOf = (source: string) =>
  [...source.matchAll(/^(?:import|export)\b[^;'"]*?from '([^']+)'|^import '([^']+)'|\bimport\('([^']+)'\)/gm)].map(
    (match) => (match[1] ?? match[2] ?? match[3]) as string,
  );

// A package imports those on floors below its own, never beside or above. `tensorflow` is known to those who compose alone.
const floors: Readonly<Record<string, number>> = {
  ...{ core: 0 },
  ...{ nn: 1, schedules: 1, io: 1, figures: 1 },
  ...{ networks: 2, training: 2, samplers: 2, guidance: 2, data: 2, metrics: 2, tensorflow: 2 },
  ...{ runs: 3, evaluation: 3 },
};
const floorOf = (name: string): number => floors[name] ?? Number.NaN;

describe.each(packages)('@logsnr/%s', (name) => {
  const manifest = JSON.parse(readFileSync(`${root}/packages/${name}/package.json`, 'utf8'));
  const declared = { ...manifest.dependencies, ...manifest.peerDependencies };

  test('imports packages of lower floors alone', () => {
    expect(floorOf(name)).not.toBeNaN();
    for (const [file, source] of sourcesOf(name))
      for (const target of importsOf(source).filter((target) => target.startsWith('@logsnr/'))) {
        const other = target.split('/')[1] as string;
        expect([file, target, other !== 'tensorflow' && floorOf(other) < floorOf(name)]).toEqual([file, target, true]);
      }
  });

  test('declares what it imports', () => {
    for (const [file, source] of sourcesOf(name))
      for (const target of importsOf(source).filter(
        (target) => !target.startsWith('.') && !target.startsWith('node:'),
      )) {
        const owner = target
          .split('/')
          .slice(0, target.startsWith('@') ? 2 : 1)
          .join('/');
        expect([file, owner, owner in declared]).toEqual([file, owner, true]);
      }
  });

  test('never draws from a global generator', () => {
    for (const [file, source] of sourcesOf(name))
      expect([
        file,
        source.match(/Math\.random\(|\brandomNormal\(|\brandomUniform\(|\btruncatedNormal\(|\bmultinomial\(/),
      ]).toEqual([file, null]);
  });
});

test('every changeset begins with the packages that it releases', () => {
  const folder = `${root}/.changeset`;
  const names = readdirSync(folder).filter((file) => file.endsWith('.md'));
  for (const name of names) {
    const text = readFileSync(`${folder}/${name}`, 'utf8');
    const head = /^---\n((?:'@logsnr\/\w+': (?:major|minor|patch)\n)+)---\n\n\S/.exec(text)?.[1] ?? '';
    const released = [...head.matchAll(/@logsnr\/(\w+)/g)].map((match) => match[1] as string);
    expect([name, released.length > 0 && released.every((at) => packages.includes(at))]).toEqual([name, true]);
  }
});
