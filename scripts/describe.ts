// pnpm describe PRESET: the layers, shapes, parameters, multiply-adds and activation memory of a preset's network.
import { parseArgs } from 'node:util';
import { descriptionTable, presetNames } from '@logsnr/networks';
import { useBackend } from '@logsnr/tensorflow';
import { describePreset, presetTable } from './describe-presets.js';

const usage = `pnpm describe PRESET [--json] [--depth D] [--batch N]
pnpm describe --all

Describes the network of a preset: a row a layer, and the sums. It needs no memory for the network.
--depth D  names in a layer's path; deeper layers count for the one that they are in. By default 2
--batch N  samples in the batch. By default 1
--json     one line: { preset, batch, outputs, parameters, multiplyAdds, activationBytes, peakBytes, layers }
--all      a table of all presets, in Markdown

Presets: ${presetNames.join(', ')}`;

function main(): string {
  const { values, positionals } = parseArgs({
    args: process.argv.slice(2).filter((arg) => arg !== '--'),
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      all: { type: 'boolean', default: false },
      depth: { type: 'string', default: '2' },
      batch: { type: 'string', default: '1' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return usage;
  if (values.all) return presetTable();
  const [name, ...more] = positionals;
  if (name === undefined || more.length > 0) throw new RangeError(`give one preset.\n\n${usage}`);
  const description = describePreset(name, { depth: Number(values.depth), batch: Number(values.batch) });
  return values.json ? JSON.stringify({ preset: name, ...description }) : descriptionTable(description);
}

try {
  // Any backend will do: TensorFlow.js's gradients come with it.
  await useBackend({ backend: 'cpu', quiet: true });
  console.log(main());
} catch (error) {
  console.error(`describe: ${(error as Error).message}`);
  process.exitCode = 1;
}
