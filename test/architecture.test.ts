import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
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

// ARCHITECTURE.md draws this. `tensorflow` is known to those who compose alone.
const floors: Readonly<Record<string, number>> = {
  ...{ core: 0 },
  ...{ nn: 1, schedules: 1, io: 1, figures: 1 },
  ...{ networks: 2, training: 2, samplers: 2, guidance: 2, data: 2, metrics: 2, tensorflow: 2 },
  ...{ runs: 3, evaluation: 3, pretrained: 3, onnx: 3 },
  ...{ cli: 4, 'tfjs-node': 4 },
};
const floorOf = (name: string): number => floors[name] ?? Number.NaN;
// Their main entry runs in a browser. The other packages are for Node.
const browsers = 'core nn schedules io networks training samplers guidance data metrics evaluation onnx'.split(' ');

// Stands in for a package that registers its backend when it is imported, and has that one's modules within its own.
const stock = { name: 'tfjs-node', bundles: '@tensorflow/tfjs-node-gpu' };

const manifestOf = (name: string) => JSON.parse(readFileSync(`${root}/packages/${name}/package.json`, 'utf8'));
/** `@logsnr/data/node` → `@logsnr/data`. */
const ownerOf = (target: string) =>
  target
    .split('/')
    .slice(0, target.startsWith('@') ? 2 : 1)
    .join('/');
const ours = (target: string) => (target.startsWith('@logsnr/') ? [target.slice('@logsnr/'.length)] : []);

/** What an entry imports from outside of its package, with all that it imports within. */
function importsFrom(name: string, entry: string): Set<string> {
  const sources = new Map(sourcesOf(name));
  const [seen, found] = [new Set<string>(), new Set<string>()];
  const walk = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    const source = sources.get(file);
    if (source === undefined) throw new Error(`packages/${name}/src/${file} is imported and not there`);
    for (const target of importsOf(source))
      if (target.startsWith('.')) walk(posix.join(posix.dirname(file), target).replace(/\.js$/, '.ts'));
      else found.add(target);
  };
  walk(entry);
  return found;
}

describe.each(packages)('@logsnr/%s', (name) => {
  const manifest = manifestOf(name);
  const declared = { ...manifest.dependencies, ...manifest.peerDependencies };
  const sources = sourcesOf(name);

  test('has a floor, and imports and declares packages of lower floors alone', () => {
    expect(floorOf(name)).not.toBeNaN();
    const imported = sources.flatMap(([, source]) => importsOf(source));
    for (const target of [...imported, ...Object.keys(declared)])
      for (const other of ours(ownerOf(target)))
        expect([target, (other !== 'tensorflow' || floorOf(name) === 4) && floorOf(other) < floorOf(name)]).toEqual([
          target,
          true,
        ]);
  });

  test('declares what it imports, and imports what it declares', () => {
    for (const [file, source] of sources)
      for (const target of importsOf(source).filter((target) => !/^(?:\.|node:)/.test(target)))
        if (name !== stock.name || ownerOf(target) !== stock.bundles)
          expect([file, target, ownerOf(target) in declared]).toEqual([file, target, true]);
    // A file of a package may also be looked up by its name.
    const used = (target: string) => sources.some(([, source]) => new RegExp(`['"\`]${target}['"\`/]`).test(source));
    expect(Object.keys(declared).filter((target) => !used(target))).toEqual([]);
  });

  test('says where it comes from, which provenance needs', () => {
    const repository = 'https://github.com/logsnr/logsnr';
    expect(manifest.repository).toEqual({ type: 'git', url: `git+${repository}.git`, directory: `packages/${name}` });
    expect([manifest.bugs, manifest.homepage]).toEqual([
      `${repository}/issues`,
      `${repository}/tree/main/packages/${name}#readme`,
    ]);
  });

  test('has no side effects', () => {
    expect(manifest.sideEffects).toBe(name === stock.name);
  });

  test('has a row in ARCHITECTURE.md', () => {
    expect(readFileSync(`${root}/ARCHITECTURE.md`, 'utf8')).toContain(`(packages/${name})`);
  });

  if (browsers.includes(name))
    test('runs in a browser', () => {
      expect(manifest.browser).toBeUndefined();
      const targets = [...importsFrom(name, 'index.ts')];
      expect(targets.filter((target) => isBuiltin(target))).toEqual([]);
      expect(targets.flatMap(ours).filter((target) => !browsers.includes(target))).toEqual([]);
    });

  test('never draws from a global generator', () => {
    for (const [file, source] of sourcesOf(name))
      expect([
        file,
        source.match(/Math\.random\(|\brandomNormal\(|\brandomUniform\(|\btruncatedNormal\(|\bmultinomial\(/),
      ]).toEqual([file, null]);
  });
});

test('no package depends on itself by way of others, its tests included', () => {
  const below = (name: string): string[] => {
    const { dependencies, devDependencies, peerDependencies } = manifestOf(name);
    return Object.keys({ ...dependencies, ...devDependencies, ...peerDependencies }).flatMap(ours);
  };
  const walk = (path: readonly string[]): void => {
    for (const next of below(path.at(-1) as string)) {
      expect(path).not.toContain(next);
      walk([...path, next]);
    }
  };
  for (const name of packages) walk([name]);
});

test('the playground runs on packages that run in a browser', () => {
  const folder = `${root}/apps/playground/src`;
  for (const file of readdirSync(folder).filter((file) => file.endsWith('.ts')))
    for (const target of importsOf(readFileSync(`${folder}/${file}`, 'utf8')))
      expect([file, target, isBuiltin(target) || !ours(target).every((other) => browsers.includes(other))]).toEqual([
        file,
        target,
        false,
      ]);
});

test('every changeset begins with the packages that it releases', () => {
  const known = [...packages, ...readdirSync(`${root}/models`).map((name) => `model-${name}`)];
  const folder = `${root}/.changeset`;
  const names = readdirSync(folder).filter((file) => file.endsWith('.md'));
  for (const name of names) {
    const text = readFileSync(`${folder}/${name}`, 'utf8');
    const head = /^---\n((?:'@logsnr\/[\w-]+': (?:major|minor|patch)\n)+)---\n\n\S/.exec(text)?.[1] ?? '';
    const released = [...head.matchAll(/@logsnr\/([\w-]+)/g)].map((match) => match[1] as string);
    expect([name, released.length > 0 && released.every((at) => known.includes(at))]).toEqual([name, true]);
  }
});
