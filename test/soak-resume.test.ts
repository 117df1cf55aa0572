import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));

test('a run that is killed twice ends with the weights of one that is not', async () => {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--import', 'tsx', 'scripts/soak-resume.ts', '--kills', '2', '--steps', '80'],
    { cwd: root, env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` } },
  );
  expect(stdout).toMatch(/killed 2 times/);
  expect(stdout).toMatch(/compared 16 tensors, \d{6} bytes: 0 differ; metrics\.jsonl has each step once/);
});
