// Installs the packages as their users do, and runs the READMEs' snippets there: all are packed and published to a registry
// on this machine (verdaccio, which passes the rest on to the configured one), then installed by npm, pnpm and yarn into empty
// projects outside of the workspace, under several versions of Node.
//   pnpm consumers [--managers npm,pnpm,yarn] [--nodes 20,22,24] [--only PACKAGE,…] [--keep]
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  args: process.argv.slice(2).filter((arg) => arg !== '--'),
  options: {
    managers: { type: 'string', default: 'npm,pnpm,yarn' },
    nodes: { type: 'string', default: '20,22,24' },
    only: { type: 'string' },
    keep: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});
if (values.help) {
  console.log(`pnpm consumers [--managers npm,pnpm,yarn] [--nodes 20,22,24] [--only PACKAGE,…] [--keep]

Packs all packages, publishes them to a registry on this machine, and installs them into empty projects with each package
manager and version of Node. In each project the snippets of the packages' READMEs are checked by TypeScript (module resolution
bundler and nodenext) and run as JavaScript. With npm and the first version of Node, each package is also installed alone.
--keep leaves the projects. Ends with 1 where anything fails.`);
  process.exit(0);
}

// The newest for Node 20.
const VERDACCIO = '6.5.2';
const YARN = '1.22.22';
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { packageManager } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const typescript = /^ {2}typescript: (.*)$/m.exec(readFileSync(join(root, 'pnpm-workspace.yaml'), 'utf8'))[1];
const folder = mkdtempSync(join(tmpdir(), 'logsnr-consumers-'));
const managers = values.managers.split(',');
const nodes = values.nodes.split(',');
const packages = readdirSync(join(root, 'packages')).filter(
  (name) => !values.only || values.only.split(',').includes(name),
);
const failures = [];

/** Runs a command; what it printed. @throws with that where it fails. */
function run(command, args, { cwd = folder, env = {}, seconds = 900 } = {}) {
  return new Promise((done, fail) => {
    const child = spawn(command, args, { cwd, env: { ...clean, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
    let out = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (out += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), 1000 * seconds);
    child.on('error', fail);
    child.on('close', (code) => {
      clearTimeout(timer);
      if (code === 0) done(out);
      else fail(new Error(`${[command, ...args].join(' ')} ended with ${code}:\n${out.slice(-3000)}`));
    });
  });
}

// A project of a user knows nothing of the npm or pnpm that started this script.
const clean = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^(npm_|pnpm_config_|NODE_PATH|TSX_)/i.test(name)),
);

async function timed(what, work) {
  const start = performance.now();
  try {
    const said = await work();
    console.log(`ok    ${what}${said ? `: ${said}` : ''} (${((performance.now() - start) / 1000).toFixed(1)} s)`);
    return true;
  } catch (error) {
    failures.push(what);
    console.log(`FAIL  ${what}: ${error.message}`);
    return false;
  }
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** A registry that has what is published to it, and else what the configured one has. */
async function registry() {
  const upstream = (await run('npm', ['config', 'get', 'registry'])).trim();
  const own = { access: '$all', publish: '$all' };
  writeFileSync(
    join(folder, 'verdaccio.json'),
    JSON.stringify({
      storage: join(folder, 'storage'),
      uplinks: { upstream: { url: upstream, maxage: '1h', timeout: '120s' } },
      // Else a package of another one's by the same name would stand in for ours.
      packages: { '@logsnr/*': own, '**': { access: '$all', proxy: 'upstream' } },
      max_body_size: '200mb',
      log: { type: 'stdout', format: 'pretty', level: 'error' },
    }),
  );
  mkdirSync(join(folder, 'registry'));
  writeFileSync(join(folder, 'registry/package.json'), '{ "private": true }\n');
  await run('npm', ['install', '--no-audit', '--no-fund', `verdaccio@${VERDACCIO}`], { cwd: join(folder, 'registry') });
  const port = await freePort();
  const command = join(folder, 'registry/node_modules/verdaccio/bin/verdaccio');
  const child = spawn(
    process.execPath,
    [command, '--config', join(folder, 'verdaccio.json'), '--listen', `127.0.0.1:${port}`],
    {
      stdio: ['ignore', 'ignore', 'ignore'],
      env: clean,
    },
  );
  const url = `http://127.0.0.1:${port}/`;
  for (
    let i = 0;
    !(await fetch(`${url}-/ping`).then(
      ({ ok }) => ok,
      () => false,
    ));
    i++
  ) {
    if (i > 300 || child.exitCode !== null) throw new Error('the registry did not start');
    await new Promise((done) => setTimeout(done, 100));
  }
  return { url, host: `//127.0.0.1:${port}/`, stop: () => child.kill() };
}

/** The folder with a version's `node`, from the package of that name. */
async function nodeOf(version) {
  if (process.versions.node.startsWith(`${version}.`)) return dirname(process.execPath);
  const place = join(folder, `node-${version}`);
  mkdirSync(place);
  writeFileSync(join(place, 'package.json'), '{ "private": true }\n');
  await run('npm', ['install', '--no-audit', '--no-fund', `node@${version}`], { cwd: place });
  return join(place, 'node_modules/node/bin');
}

const snippetsOf = (name) =>
  readFileSync(join(root, 'packages', name, 'README.md'), 'utf8')
    .split(/^```ts\n/m)
    .slice(1)
    .map((rest) => rest.split(/^```/m)[0]);
const importsOf = (code) => [...code.matchAll(/from '((?:@[\w-]+\/)?[\w-]+)[^']*'/g)].map((match) => match[1]);

const install = {
  npm: () => ['npm', ['install', '--no-audit', '--no-fund']],
  pnpm: () => ['npx', ['--yes', packageManager.replace(/\+.*/, ''), 'install']],
  yarn: () => ['npx', ['--yes', `yarn@${YARN}`, 'install', '--non-interactive']],
};

const settings = (moduleResolution, more) => ({
  compilerOptions: {
    ...{
      target: 'es2023',
      lib: ['es2023', 'dom'],
      strict: true,
      skipLibCheck: true,
      types: ['node'],
      moduleResolution,
      ...more,
    },
  },
  include: ['src'],
});

// A guided walk of a user's own model, with a sampler and TensorFlow.js from npm and nothing else.
const OWN = `import { ddim, key, sample } from '@logsnr/samplers';
import * as tf from '@tensorflow/tfjs';

// x given the class is N(±1, 0), without it N(0, 1): ε̂ of each, and guidance of the two at w = 1.
const model = (z: tf.Tensor, lambda: tf.Tensor1D, label: tf.Tensor1D) =>
  tf.tidy(() => {
    const [a, s] = [tf.sqrt(tf.sigmoid(lambda)), tf.sqrt(tf.sigmoid(tf.neg(lambda)))].map((v) => tf.reshape(v, [-1, 1])) as [tf.Tensor, tf.Tensor];
    const conditional = tf.div(tf.sub(z, tf.mul(a, tf.reshape(label, [-1, 1]))), s);
    const unconditional = tf.mul(s, z);
    return tf.sub(tf.mul(2, conditional), unconditional);
  });
await tf.setBackend('cpu');
const lambdas = Array.from({ length: 24 }, (_, i) => -8 + (16 * i) / 23);
const x = sample({ model, condition: tf.tensor1d([1, -1]), sampler: ddim(), lambdas, shape: [2, 1], key: key(0) });
const [up = 0, down = 0] = x.dataSync();
if (!(up > 0.9 && down < -0.9)) throw new Error(\`the samples are \${up} and \${down}\`);
console.log(up, down);
`;

/** An empty project with some packages and the snippets of their READMEs; checked and run. */
async function project(name, names, manager, bin, place, { own, dependencies = {} } = {}) {
  const at = join(folder, name);
  mkdirSync(join(at, 'src'), { recursive: true });
  if (own) writeFileSync(join(at, 'src/own.ts'), own);
  for (const each of names)
    snippetsOf(each).forEach((code, i) => {
      writeFileSync(join(at, `src/${each}-${i + 1}.ts`), code);
      for (const target of importsOf(code))
        if (!target.startsWith('node')) dependencies[target] = target.startsWith('@logsnr/') ? '0' : '*';
    });
  for (const each of names) dependencies[`@logsnr/${each}`] = '0';
  // What a snippet imports of TensorFlow.js is the release that ours are for.
  if (dependencies['@tensorflow/tfjs-core']) dependencies['@tensorflow/tfjs-core'] = '^4.22.0';
  for (const own of Object.keys(dependencies)) if (own.startsWith('@logsnr/')) dependencies[own] = versions[own];
  const manifest = {
    ...{ private: true, type: 'module', dependencies },
    devDependencies: { typescript, '@types/node': '^20.19.0' },
  };
  writeFileSync(join(at, 'package.json'), JSON.stringify(manifest, null, 2));
  writeFileSync(join(at, '.npmrc'), `registry=${place.url}\n`);
  writeFileSync(join(at, '.yarnrc'), `registry "${place.url}"\n`);
  writeFileSync(
    join(at, 'nodenext.json'),
    JSON.stringify(settings('nodenext', { module: 'nodenext', rootDir: 'src', outDir: 'out' })),
  );
  writeFileSync(join(at, 'bundler.json'), JSON.stringify(settings('bundler', { module: 'esnext', noEmit: true })));
  const env = { PATH: [bin, process.env.PATH].join(delimiter), npm_config_cache: join(folder, 'npm-cache') };
  const here = { cwd: at, env };
  const ok = await timed(`${name}: install`, async () => {
    await run(...install[manager](), here);
    const scripts = readdirSync(join(at, 'node_modules')).length;
    return `${scripts} folders`;
  });
  if (!ok) return;
  const tsc = join(at, 'node_modules/.bin/tsc');
  await timed(`${name}: types, nodenext`, () => run(tsc, ['-p', 'nodenext.json'], here).then(() => ''));
  await timed(`${name}: types, bundler`, () => run(tsc, ['-p', 'bundler.json'], here).then(() => ''));
  for (const file of readdirSync(join(at, 'src'))) {
    const script = join(at, 'out', file.replace(/\.ts$/, '.js'));
    if (!existsSync(script)) continue;
    await timed(`${name}: ${file.replace(/\.ts$/, '')}`, async () => {
      const out = await run(join(bin, 'node'), [script], { ...here, seconds: 300 });
      if (!out.trim()) throw new Error('it printed nothing');
      return '';
    });
  }
}

const versions = {};
let place;
try {
  const all = readdirSync(join(root, 'packages'));
  await timed('build and pack', async () => {
    const pnpm = (...args) => run(process.execPath, [join(root, 'scripts/run.mjs'), 'pnpm', ...args], { cwd: root });
    await pnpm('build');
    await pnpm('--recursive', '--filter', './packages/*', 'pack', '--pack-destination', join(folder, 'packed'));
    return `${all.length} packages`;
  });
  place = await registry();
  writeFileSync(join(folder, '.npmrc'), `registry=${place.url}\n${place.host}:_authToken=none\n`);
  await timed('publish', async () => {
    for (const file of readdirSync(join(folder, 'packed')))
      await run('npm', [
        'publish',
        join(folder, 'packed', file),
        '--provenance=false',
        '--userconfig',
        join(folder, '.npmrc'),
        '--registry',
        place.url,
      ]);
    return `to a registry on this machine`;
  });
  for (const name of all) {
    const manifest = JSON.parse(readFileSync(join(root, 'packages', name, 'package.json'), 'utf8'));
    versions[manifest.name] = manifest.version;
  }
  const bins = {};
  for (const version of nodes) {
    bins[version] = await nodeOf(version);
    console.log(`node ${version}: ${(await run(join(bins[version], 'node'), ['--version'])).trim()}`);
  }
  for (const manager of managers)
    for (const version of nodes) await project(`${manager}-node${version}`, packages, manager, bins[version], place);
  const own = { own: OWN, dependencies: { '@logsnr/samplers': '', '@tensorflow/tfjs': '^4.22.0' } };
  await project('own-model', [], 'npm', bins[nodes[0]], place, own);
  for (const name of packages) await project(`alone-${name}`, [name], 'npm', bins[nodes[0]], place);
} finally {
  place?.stop();
  if (values.keep) console.log(folder);
  else rmSync(folder, { recursive: true, force: true });
}
if (failures.length > 0) {
  console.log(`${failures.length} failed: ${failures.join('; ')}`);
  process.exitCode = 1;
} else console.log('all ok');
