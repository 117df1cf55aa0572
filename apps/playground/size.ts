// The sizes of the playground's build, and of a page that only samples. Writes them as a table.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';

const here = fileURLToPath(new URL('.', import.meta.url));
const kB = (bytes: number) => `${(bytes / 1000).toFixed(1)} kB`;
const row = (what: string, bytes: Uint8Array | string) =>
  console.log(`| ${what} | ${kB(Buffer.byteLength(bytes))} | ${kB(gzipSync(bytes, { level: 9 }).length)} |`);

/** A program's own code, minified: what it takes of our packages as published, and nothing of TensorFlow.js. */
async function bundled(source: string): Promise<string> {
  const program = join(here, 'out/program.js');
  mkdirSync(join(here, 'out'), { recursive: true });
  writeFileSync(program, source);
  const made = (await build({
    ...{ configFile: false, root: here, logLevel: 'error', publicDir: false },
    build: {
      ...{ write: false, minify: true, target: 'es2022', modulePreload: false },
      rolldownOptions: { input: program, external: [/^@tensorflow\//], preserveEntrySignatures: 'strict' },
    },
  })) as Rolldown.RolldownOutput;
  return made.output.map((each) => (each.type === 'chunk' ? each.code : '')).join('');
}

const SAMPLE = `
import { key, labels } from '@logsnr/core';
import { ancestral, sample } from '@logsnr/samplers';
export const draw = (eps, lambdas, seed) => {
  const condition = labels(10).of([7]);
  return sample({ model: eps, condition, sampler: ancestral({ v: 0.3 }), lambdas, shape: [1, 28, 28, 1], key: key(seed) });
};`;
const ALL = `
export * as core from '@logsnr/core';
export * as samplers from '@logsnr/samplers';`;

console.log('| beyond TensorFlow.js | minified | gzip |\n| --- | ---: | ---: |');
row('`sample` with `ancestral`, from core and samplers', await bundled(SAMPLE));
row('all of core and samplers', await bundled(ALL));

const dist = join(here, 'dist');
console.log('\n| of the playground | as it is | gzip |\n| --- | ---: | ---: |');
for (const file of (readdirSync(dist, { recursive: true }) as string[]).sort())
  if (/\.\w+$/.test(file)) row(`\`${file.replace(/-[\w-]{8}(?=\.\w+$)/, '')}\``, readFileSync(join(dist, file)));
