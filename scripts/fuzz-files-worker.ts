// The process in which fuzz.ts runs cases of spoilt files: `fuzz-files-worker.ts SEED FIRST END UNTIL`. It prints a case
// before it runs it, and the outcome after it. The folder of a case that failed stays.

import { mkdirSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { useBackend } from '@logsnr/tensorflow';
import { judge, readers, type Sample, sampleOf } from './fuzz-files.js';
import { drawOf } from './fuzz-operations-cases.js';
import { spoil } from './fuzz-spoil.js';

const [seed = 0, first = 0, end = 0, until = 0] = process.argv.slice(2).map(Number);
await useBackend({ backend: 'wasm', quiet: true });

const weighted = readers.flatMap((reader) => Array.from({ length: reader.weight }, () => reader));
const samples = new Map<string, Sample>();
for (const reader of readers) samples.set(reader.name, await sampleOf(reader));

for (let index = first; index < end && Date.now() < until; index++) {
  const draw = drawOf(seed, index);
  const reader = draw.one(weighted);
  const { files, expected } = samples.get(reader.name) as Sample;
  const name = draw.one([...files.keys()]);
  const [how, spoilt] = spoil(name, files, draw);
  const folder = join(tmpdir(), `logsnr-fuzz-${seed}-${index}`);
  writeSync(1, `case ${index} ${reader.name}: ${name}, ${how}, in ${folder}\n`);
  for (const [path, bytes] of [...files, [name, spoilt] as const]) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), bytes);
  }
  const outcome = await judge(reader, folder, {
    expected,
    same: Buffer.compare(spoilt, files.get(name) ?? spoilt) === 0,
  });
  writeSync(1, `${outcome.replaceAll('\n', ' ')}\n`);
  if (outcome === 'result' || outcome === 'refused') rmSync(folder, { recursive: true });
}
// The workers of wasm's threads would keep the process.
process.exit(0);
