import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const folder = mkdtempSync(join(tmpdir(), 'licences-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** What the check says of a list of pnpm. */
function check(list: object): string {
  const from = join(folder, 'list.json');
  writeFileSync(from, JSON.stringify(list));
  const script = fileURLToPath(new URL('../scripts/licences.mjs', import.meta.url));
  const { status, stderr } = spawnSync(process.execPath, [script, '--check', '--from', from], { encoding: 'utf8' });
  expect(status).toBe(1);
  return stderr;
}
const package_ = (name: string) => ({ name, versions: ['1.0.0'] });

test('a licence that is not accepted is refused, by the name of its package', () => {
  const accepted = { MIT: [package_('fine')], 'Apache-2.0 AND MIT': [package_('twice')] };
  const refused = {
    'AGPL-3.0': [package_('copyleft')],
    'MIT AND GPL-3.0': [package_('half')],
    Unknown: [package_('x')],
  };
  expect(check({ ...accepted, ...refused })).toContain(
    'not among the accepted licences: copyleft (AGPL-3.0), half (MIT AND GPL-3.0), x (Unknown).',
  );
});

test('an exception is of one package and one licence', () => {
  const said = check({
    'MPL-2.0': [package_('@resvg/resvg-js'), package_('another')],
    'GPL-3.0': [package_('dejavu-fonts-ttf')],
  });
  expect(said).toContain(': another (MPL-2.0), dejavu-fonts-ttf (GPL-3.0).');
});

test('a table that is not up to date is refused', () => {
  expect(check({ MIT: [package_('new')] })).toContain('run `pnpm licences`');
});
