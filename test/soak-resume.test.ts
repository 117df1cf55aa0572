import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = { cwd: root, env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` } };

test('a run that is killed twice ends with the weights of one that is not', async () => {
  const args = ['--import', 'tsx', 'scripts/soak-resume.ts', '--kills', '2', '--steps', '80'];
  const { stdout } = await promisify(execFile)(process.execPath, args, options);
  expect(stdout).toMatch(/killed 2 times/);
  expect(stdout).toMatch(/compared 16 tensors, \d{6} bytes: 0 differ; metrics\.jsonl has each step once/);
}, 180_000);

test('Ctrl-C saves the step under way, says so, and ends the process as Ctrl-C does', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'logsnr-interrupt-'));
  try {
    const child = spawn(process.execPath, ['--import', 'tsx', 'scripts/soak-worker.ts', folder, '100000'], options);
    let said = '';
    child.stderr.setEncoding('utf8').on('data', (text) => {
      said += text;
    });
    await once(child.stdout, 'data');
    const ended = once(child, 'close');
    child.kill('SIGINT');
    expect(await ended).toEqual([null, 'SIGINT']);
    const step = Number(/saved step (\d+)\. Run the same command again to go on\./.exec(said)?.[1]);
    expect(said).toMatch(/^SIGINT: saving after the step under way; once more to end at once\./);
    expect(readdirSync(join(folder, 'checkpoints')).at(-1)).toBe(`step-${String(step).padStart(8, '0')}`);
    expect(readdirSync(folder)).not.toContain('lock');
  } finally {
    rmSync(folder, { recursive: true });
  }
});
