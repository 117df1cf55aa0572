import { execFile } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

// Every TypeScript snippet in a README or tutorial runs as it stands, in a process of its own, and prints something.
const root = fileURLToPath(new URL('..', import.meta.url));
const readmes = ['README.md', ...readdirSync(`${root}/packages`).map((name) => `packages/${name}/README.md`)];
const tutorials = readdirSync(`${root}/docs/tutorials`).map((name) => `docs/tutorials/${name}`);
const snippets = [...readmes, ...tutorials].flatMap((readme) =>
  (existsSync(`${root}/${readme}`) ? readFileSync(`${root}/${readme}`, 'utf8') : '')
    .split(/^```ts\n/m)
    .slice(1)
    .map((rest, i) => [readme, i + 1, rest.split(/^```/m)[0] as string] as const),
);

test('each package has a README with a snippet', () => {
  for (const readme of readmes.slice(1)) expect(snippets.map(([file]) => file)).toContain(readme);
});

test.each(snippets)(
  '%s, snippet %i',
  async (readme, i, code) => {
    const file = `${root}/test/.snippet-${readme.replaceAll('/', '-')}-${i}.ts`;
    writeFileSync(file, code);
    try {
      const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', file], {
        cwd: root,
        env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` },
      });
      expect(stdout.trim()).not.toBe('');
    } finally {
      rmSync(file);
    }
  },
  180_000,
);
