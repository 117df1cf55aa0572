import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

test('a sweep by two processes that are killed ends with the tables of one that is not disturbed', async () => {
  const args = ['--import', 'tsx', 'scripts/soak-sweep.ts', '--kills', '2', '--processes', '2'];
  const { stdout } = await promisify(execFile)(process.execPath, args, {
    cwd: root,
    env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` },
  });
  expect(stdout).toMatch(/killed 2 times of 2 processes/);
  expect(stdout).toMatch(/compared \d+ files of 8 cells: 0 differ; the table is the same/);
}, 400_000);
