import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { decode } from 'fast-png';
import { beforeAll, expect, test } from 'vitest';

// Every script of every example runs for some seconds on the built packages, as a user's program does, in an empty folder:
// it finds no earlier run there, and what it writes under its default `out` is seen.
const root = fileURLToPath(new URL('..', import.meta.url));
const run = promisify(execFile);
const scripts = readdirSync(`${root}/examples`).flatMap((name) => {
  const manifest = JSON.parse(readFileSync(`${root}/examples/${name}/package.json`, 'utf8'));
  return Object.values<string>(manifest.scripts).flatMap((command) => {
    const file = /\btsx\b.* (\S+\.ts)\b/.exec(command)?.[1];
    return file ? [`examples/${name}/${file}`] : [];
  });
});

beforeAll(() => run(process.execPath, [`${root}/scripts/run.mjs`, 'setup']), 300_000);

test('each example has a script', () => {
  for (const name of readdirSync(`${root}/examples`)) expect(scripts).toContain(`examples/${name}/main.ts`);
});

test.each(scripts)('%s --quick', { timeout: 180_000 }, async (script) => {
  const folder = mkdtempSync(join(tmpdir(), 'logsnr-example-'));
  try {
    const tsx = ['--import', import.meta.resolve('tsx'), `${root}/${script}`, '--quick'];
    // The base settings have no paths to the sources.
    const env = { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.base.json` };
    const { stdout } = await run(process.execPath, tsx, { cwd: folder, env, maxBuffer: 2 ** 26 });
    expect(stdout.trim()).not.toBe('');
    const written = (readdirSync(folder, { recursive: true }) as string[]).map((file) => file.replaceAll('\\', '/'));
    // What it says it wrote is there.
    expect(written).toEqual(expect.arrayContaining(stdout.match(/\bout\/[\w./-]+\.\w+/g) ?? []));
    const source = readFileSync(`${root}/${script}`, 'utf8');
    const pictures = written.filter((file) => file.endsWith('.png'));
    if (source.includes('@logsnr/figures')) expect(pictures).not.toEqual([]);
    for (const picture of pictures) {
      const { data, width, height } = decode(readFileSync(join(folder, picture)));
      expect([picture, Math.min(width, height) > 8, new Set(data).size > 1]).toEqual([picture, true, true]);
    }
    for (const file of written.filter((file) => file.endsWith('.json')))
      expect(() => JSON.parse(readFileSync(join(folder, file), 'utf8')), file).not.toThrow();
  } finally {
    rmSync(folder, { recursive: true });
  }
});
