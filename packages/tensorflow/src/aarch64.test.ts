import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { command } from '@logsnr/io/node';
import { afterAll, expect, test } from 'vitest';

// Debian's packages g++-aarch64-linux-gnu, libc6-dev-arm64-cross and qemu-user.
const [compiler, emulator] = ['aarch64-linux-gnu-g++', 'qemu-aarch64'];
const missing = process.platform !== 'linux' || process.arch === 'arm64' ? 'this machine' : await firstMissing();
const folder = mkdtempSync(join(tmpdir(), 'logsnr-aarch64-'));
afterAll(() => rmSync(folder, { recursive: true }));

async function firstMissing(): Promise<string | undefined> {
  for (const program of [compiler, emulator]) {
    const { code } = await command(program, ['--version']);
    if (code !== 0) return `${program}, which is not installed`;
  }
  return undefined;
}

test('convolutions, linear maps and attention in vectors of NEON are those of float64', async ({ skip }) => {
  skip(missing !== undefined, `an emulated aarch64 is not for ${missing}`);
  const source = fileURLToPath(new URL('../test/portable.cc', import.meta.url));
  const program = join(folder, 'portable');
  const flags = ['-static', '-w', '-O2', '-std=c++17', '-pthread'];
  const built = await command(compiler, [...flags, source, '-o', program]);
  expect(built.err).toBe('');
  const { code, out } = await command(emulator, [program]);
  expect(out).toMatch(/^lanes 4 convolutions [\d.e-]+ maps [\d.e-]+ attention [\d.e-]+\n$/);
  expect(code).toBe(0);
}, 120_000);
