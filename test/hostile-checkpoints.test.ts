import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

interface Row {
  readonly name: string;
  readonly refusal?: string;
  readonly ms: number;
  readonly mb: number;
}

test.skipIf(process.platform !== 'linux')(
  'a checkpoint that was made to harm is refused by a clear error, in under a second of processor time and under 100 MB',
  async () => {
    const script = fileURLToPath(new URL('../scripts/hostile-checkpoints.ts', import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [
      ...['--expose-gc', '--import', 'tsx', script, '--json'],
    ]);
    const { rows, tensors }: { rows: Row[]; tensors: number } = JSON.parse(stdout);
    expect(rows.length).toBeGreaterThan(30);
    for (const { name, refusal = 'loaded', ms, mb } of rows) {
      // It names the file, in words that are read at a glance.
      expect(refusal, name).toMatch(/^(the tensors in )?…\//);
      expect(refusal.length, name).toBeLessThan(4000);
      expect(ms, name).toBeLessThan(1000);
      expect(mb, name).toBeLessThan(100);
    }
    const said = (name: string) => rows.find((row) => row.name === name)?.refusal;
    expect(said('a pickle that calls os.system')).toContain('names posix.system, which is not run');
    expect(said('two entries of one name')).toContain('it has "archive/data/0" twice');
    expect(said('a part outside the folder')).toContain('weight_map.w0');
    expect(said('a zip bomb for a tensor: 128 MB in 128 kB')).toContain('is compressed');
    expect(tensors).toBe(0);
  },
  240_000,
);
