// The public declarations of every package and entry, one report each in `api/`, by API Extractor from what was built.
//   node scripts/api.mjs           writes the reports
//   node scripts/api.mjs --check   fails, with the difference, where a report is not what the package declares
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CompilerState, Extractor, ExtractorConfig } from '@microsoft/api-extractor';
import { createTwoFilesPatch } from 'diff';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, 'api');
const none = { default: { logLevel: 'none' } };
const quiet = (message) => {
  message.handled = true;
};
const compilerOptions = {
  ...JSON.parse(readFileSync(join(root, 'tsconfig.base.json'), 'utf8')).compilerOptions,
  // API Extractor follows a name such as URL to a declaration, which for Node's own it finds in the DOM's library alone.
  lib: ['ES2023', 'DOM'],
  typeRoots: [join(root, 'node_modules/@types')],
};
const scratch = mkdtempSync(join(tmpdir(), 'logsnr-api-'));
try {
  const wanted = extract();
  if (process.argv.includes('--check')) check(wanted);
  else write(wanted);
} finally {
  rmSync(scratch, { recursive: true });
}

/** Each entry that has declarations, by the name of its report: `training`, `training-node`. */
function entries() {
  // The declarations of tfjs-node are the stock package's own.
  const names = readdirSync(join(root, 'packages')).filter((name) => name !== 'tfjs-node');
  return names.flatMap((name) => {
    const home = join(root, 'packages', name);
    const { exports } = JSON.parse(readFileSync(join(home, 'package.json'), 'utf8'));
    return Object.entries(exports)
      .filter(([, target]) => target.types)
      .map(([entry, target]) => {
        const types = join(home, target.types);
        if (!existsSync(types)) throw new Error(`packages/${name} has no ${target.types}: run \`pnpm build\` first.`);
        return {
          report: entry.replace('.', name).replaceAll('/', '-'),
          specifier: `@logsnr/${name}${entry.slice(1)}`,
          home,
          types,
        };
      });
  });
}

/** The reports' texts by file name. */
function extract() {
  const all = entries();
  const configs = all.map(({ report, home, types }) =>
    ExtractorConfig.prepare({
      configObject: {
        projectFolder: home,
        mainEntryPointFilePath: types,
        compiler: { overrideTsconfig: { compilerOptions } },
        apiReport: {
          enabled: true,
          reportFolder: scratch,
          reportTempFolder: join(scratch, 'temp'),
          reportFileName: report,
        },
        docModel: { enabled: false },
        dtsRollup: { enabled: false },
        tsdocMetadata: { enabled: false },
        newlineKind: 'lf',
        messages: { compilerMessageReporting: none, extractorMessageReporting: none, tsdocMessageReporting: none },
      },
      packageJsonFullPath: join(home, 'package.json'),
    }),
  );
  // One program for all: the libraries' declarations are read once.
  const additionalEntryPoints = configs.slice(1).map(({ mainEntryPointFilePath }) => mainEntryPointFilePath);
  const compilerState = CompilerState.create(configs[0], { additionalEntryPoints });
  return new Map(
    all.map(({ report, specifier }, i) => {
      Extractor.invoke(configs[i], { localBuild: true, compilerState, messageCallback: quiet });
      const text = readFileSync(configs[i].reportFilePath, 'utf8');
      // Comments are documentation, not surface: a docstring does not change a report.
      const body = /```ts\n([\s\S]*)```/.exec(text)[1].replace(/^ *\/\/ (?:@public.*|\(undocumented\))\n/gm, '');
      return [`${report}.md`, `# ${specifier}\n\nWritten by \`pnpm api\`.\n\n\`\`\`ts\n${body.trim()}\n\`\`\`\n`];
    }),
  );
}

function write(wanted) {
  mkdirSync(folder, { recursive: true });
  for (const name of present()) if (!wanted.has(name)) rmSync(join(folder, name));
  for (const [name, text] of wanted) writeFileSync(join(folder, name), text);
  console.log(`${wanted.size} reports in api/`);
}

function check(wanted) {
  const names = [...new Set([...wanted.keys(), ...present()])].sort();
  const read = (name) => (existsSync(join(folder, name)) ? readFileSync(join(folder, name), 'utf8') : '');
  const changed = names.filter((name) => read(name) !== (wanted.get(name) ?? ''));
  for (const name of changed)
    console.log(createTwoFilesPatch(`api/${name}`, 'as built', read(name), wanted.get(name) ?? ''));
  console.log(`${names.length} reports, ${changed.length} not as built`);
  if (changed.length === 0) return;
  console.error(
    'The public surface changed. Run `pnpm api`, read the difference, and add a changeset (`pnpm changeset`).',
  );
  process.exitCode = 1;
}

function present() {
  return existsSync(folder) ? readdirSync(folder) : [];
}
