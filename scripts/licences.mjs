// The licences of all that the packages depend on, optional parts of the platform at hand among them.
//   node scripts/licences.mjs           writes THIRD-PARTY.md
//   node scripts/licences.mjs --check   fails where a licence is not accepted, or THIRD-PARTY.md is not as it would be written
//   … --from FILE                       takes the list of `pnpm licenses list --json` from a file
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const accepted = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'ISC', 'MIT']);
// One by one: what each is, and why it may be depended on.
const exceptions = {
  '@img/sharp-libvips-…': ['LGPL-3.0-or-later', 'a shared library, which sharp loads and a user can replace'],
  '@resvg/resvg-js': ['MPL-2.0', 'unchanged'],
  '@resvg/resvg-js-…': ['MPL-2.0', 'unchanged'],
  'dejavu-fonts-ttf': ['Unknown', 'the Bitstream Vera licence, in its LICENSE: fonts may be passed on unchanged'],
};

const root = fileURLToPath(new URL('..', import.meta.url));
const file = join(root, 'THIRD-PARTY.md');
const { values } = parseArgs({ options: { check: { type: 'boolean', default: false }, from: { type: 'string' } } });

try {
  const rows = rowsOf(JSON.parse(values.from === undefined ? listed() : readFileSync(values.from, 'utf8')));
  const isAccepted = (licence) => licence.split(' AND ').every((each) => accepted.has(each));
  const refused = rows.filter(({ name, licence }) => !isAccepted(licence) && exceptions[name]?.[0] !== licence);
  if (refused.length > 0)
    throw new Error(
      `not among the accepted licences: ${refused.map(({ name, licence }) => `${name} (${licence})`).join(', ')}. Take another package, or name it in scripts/licences.mjs with the reason.`,
    );
  const page = pageOf(rows);
  if (!values.check) writeFileSync(file, page);
  else if (readFileSync(file, 'utf8') !== page)
    throw new Error('THIRD-PARTY.md is not up to date: run `pnpm licences` and commit it.');
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
}

/** What pnpm says of the packages' dependencies. */
function listed() {
  const list = ['--filter', './packages/*', 'licenses', 'list', '--prod', '--json'];
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'scripts/run.mjs'), 'pnpm', ...list], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 2 ** 26,
  });
  if (status !== 0) throw new Error(`pnpm licenses failed:\n${stdout}${stderr}`);
  return stdout.slice(stdout.indexOf('{'));
}

/** A row for each package; the binaries of one package for several platforms are one row. */
function rowsOf(byLicence) {
  const platform = /-(?:linux|linuxmusl|darwin|win32|freebsd|android|wasm32)(?:-.*)?$/;
  const rows = Object.entries(byLicence).flatMap(([licence, packages]) =>
    packages.map(({ name, versions }) => ({
      name: name.replace(platform, '-…'),
      versions: versions.join(', '),
      licence,
    })),
  );
  const order = ({ name, licence }) => `${name} ${licence}`;
  const sorted = rows.sort((a, b) => (order(a) < order(b) ? -1 : 1));
  return sorted.filter((row, i) => i === 0 || order(row) !== order(sorted[i - 1]));
}

function pageOf(rows) {
  const lines = rows.map(({ name, versions, licence }) => {
    const note = exceptions[name] ? `${licence === 'Unknown' ? '' : `${licence}: `}${exceptions[name][1]}` : licence;
    return `| ${name} | ${versions} | ${note} |`;
  });
  return `# Third-party software

Written by \`pnpm licences\`: what the packages depend on, directly or not, outside of this repository. \`.ci/run\` refuses a licence that is
not accepted. \`@logsnr/tensorflow\` also carries the backend and the binding's sources of @tensorflow/tfjs-node-gpu (Apache-2.0), with their
notices. TensorFlow itself (Apache-2.0) is fetched by whoever installs it, and so are data and the weights of Inception and EfficientNet.

| package | version | licence |
| --- | --- | --- |
${lines.join('\n')}
`;
}
