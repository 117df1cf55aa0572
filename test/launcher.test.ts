import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const version = packageManager.replace('pnpm@', '');

let folder = '';
/** A program that is found in a folder of `folder`. */
function program(place: string, name: string, script: string): void {
  mkdirSync(join(folder, place), { recursive: true });
  writeFileSync(join(folder, place, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, place, name), 0o755);
}
const pnpmSaying = (what: string, own = version) => `[ "$1" = --version ] && echo ${own} || echo ${what}`;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'logsnr-launcher-'));
  for (const name of ['scripts', 'node_modules']) mkdirSync(join(folder, name));
  copyFileSync(join(root, 'scripts/run.mjs'), join(folder, 'scripts/run.mjs'));
  copyFileSync(join(root, 'package.json'), join(folder, 'package.json'));
  program('fetched', 'pnpm', pnpmSaying('fetched'));
  // What npx says: a line of npm's, and the path in which what it fetched comes first.
  program('bin', 'npx', `echo npx >> '${folder}/asked'; echo 'npm notice'; echo '${folder}/fetched:/usr/bin'`);
});
afterEach(() => rmSync(folder, { recursive: true }));

const kept = () => join(folder, 'node_modules/.logsnr-pnpm');
function launch(): { said: string; asked: number } {
  const PATH = `${folder}/bin:${dirname(process.execPath)}:/bin`;
  const script = join(folder, 'scripts/run.mjs');
  const { stdout } = spawnSync(process.execPath, [script, 'pnpm', 'install'], { env: { PATH }, encoding: 'utf8' });
  const asked = spawnSync('cat', [join(folder, 'asked')], { encoding: 'utf8' }).stdout.split('npx').length - 1;
  return { said: stdout.trim(), asked };
}

test('npx is asked once where it put pnpm, and again when that is gone', () => {
  expect(launch()).toEqual({ said: 'fetched', asked: 1 });
  expect(readFileSync(kept(), 'utf8')).toBe(join(folder, 'fetched'));
  expect(launch()).toEqual({ said: 'fetched', asked: 1 });
  writeFileSync(kept(), join(folder, 'gone'));
  expect(launch()).toEqual({ said: 'fetched', asked: 2 });
  expect(readFileSync(kept(), 'utf8')).toBe(join(folder, 'fetched'));
});

test('an installed pnpm of the right version is taken, one of another is not', () => {
  program('bin', 'pnpm', pnpmSaying('installed', '1.0.0'));
  expect(launch()).toEqual({ said: 'fetched', asked: 1 });
  program('bin', 'pnpm', pnpmSaying('installed'));
  expect(launch()).toEqual({ said: 'installed', asked: 1 });
});
