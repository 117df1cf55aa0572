// pnpm bench:ddpm-cifar10: a training step of DDPM's network for CIFAR-10, 35.7 million parameters, here and in PyTorch, each in a
// process of its own, in turns.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { Command, Option } from 'commander';
import { isRival, settings, type Variant } from './cases.js';
import { machineFacts } from './machine.js';
import { ms } from './markdown.js';
import { above, target } from './options.js';
import { type Row, summary, withRatios } from './statistics.js';
import { here, startProcess, type Worker } from './worker-process.js';

const variants = [
  ...['compiled', 'compiled-bf16', 'torch', 'torch-bf16', 'torch-last', 'torch-last-bf16', 'torch-compile'],
  'torch-compile-bf16',
] as Variant[];
const program = new Command('bench:ddpm-cifar10')
  .description('Times a training step (loss, gradients, Adam, average), compiled here and in PyTorch’s variants.')
  .option('--torch <python>', 'a Python with PyTorch and diffusers, to compare with them')
  .option('--batch <n>', 'images a step', above('batch', 1, true), 8)
  .option('--rounds <n>', 'turns that each takes', above('rounds', 1, true), 5)
  .option(
    '--limit <seconds>',
    'time that a step may take; a variant that is slower is left out',
    above('limit', 1, false),
    60,
  )
  .addOption(new Option('--variant <names...>', 'some of them').choices(variants))
  .option('--json <file>', 'write the rows as JSON', target)
  .parse();
const options = program.opts<{
  torch?: string;
  batch: number;
  rounds: number;
  variant?: Variant[];
  json?: string;
  limit: number;
}>();

const asked = options.variant ?? variants.filter((name) => options.torch || !isRival(name));
if (!options.torch && asked.some(isRival))
  program.error('error: PyTorch’s variants need a Python with PyTorch and diffusers; name it with --torch.');

const LIMIT = 1000 * options.limit;
/** What loading may take, and torch.compile with the first step. */
const GRACE = 600_000;
const folder = mkdtempSync(join(tmpdir(), 'logsnr-ddpm-'));
const racers: { variant: Variant; worker: Worker; times: number[]; firstMs: number; loss: number }[] = [];
/** What a step took, and its loss. */
type Turn = { ms: number; loss: number };
const start = (variant: Variant): Worker =>
  isRival(variant)
    ? startProcess(options.torch as string, ['-u', here('torch_ddpm_cifar10.py'), variant])
    : startProcess(process.execPath, [...process.execArgv, here('ddpm-cifar10-worker.ts'), variant]);
try {
  const { batch, rounds } = options;
  const first = start('compiled');
  const { multiplyAdds, parameters, ...files } = await first
    .request<{ weights: string; inputs: string; multiplyAdds: number; parameters: number }>(
      { cmd: 'prepare', folder, batch },
      GRACE,
    )
    .finally(first.stop);
  const versions = new Set<string>();
  const notes: string[] = [];
  for (const variant of asked) {
    const worker = start(variant);
    const limit = variant.startsWith('torch-compile') ? GRACE : LIMIT;
    try {
      const { learningRate, emaDecay } = settings;
      const message = { cmd: 'load', ...files, learningRate, emaDecay };
      const { version } = await worker.request<{ version: string }>(message, GRACE);
      const { ms: firstMs, loss } = await worker.request<Turn>({ cmd: 'turn' }, limit);
      // The second warms up.
      const { ms: time } = await worker.request<Turn>({ cmd: 'turn' }, LIMIT);
      versions.add(version);
      racers.push({ variant, worker, times: [], firstMs, loss });
      process.stderr.write(`${variant}: steps of ${ms(firstMs)} and ${ms(time)} ms, first loss ${loss}\n`);
    } catch (error) {
      worker.stop();
      notes.push(`${variant} has no figure: ${(error as Error).message}.`);
    }
  }
  const loads: number[] = [];
  for (let round = 0; round < rounds; round++)
    for (const { worker, times } of racers) {
      // The threads of the one that ran spin for a while before they sleep.
      await new Promise((done) => setTimeout(done, 100));
      times.push((await worker.request<Turn>({ cmd: 'turn' }, GRACE)).ms);
      loads.push(loadavg()[0] as number);
    }
  const rows: (Row & { heldMiB: number; multiplyAddsPerSecond: number; firstLoss: number })[] = [];
  for (const { variant, worker, times, firstMs, loss } of racers) {
    const memory = await worker.request<{ peakMiB: number; heldMiB: number }>({ cmd: 'memory' }, LIMIT);
    const time = summary(times);
    rows.push({
      ...{ network: 'ddpm-cifar10', case: 'train', variant, batch, ...time, ...memory, firstMs, firstLoss: loss },
      ...{ ratioToTorch: null, ratioToBest: null, bestRival: null },
      // The gradients take two products for each of the forward pass.
      multiplyAddsPerSecond: (3 * multiplyAdds * batch) / (time.medianMs / 1000),
    });
  }
  const done = withRatios(rows) as typeof rows;
  if (options.json) writeFileSync(options.json, `${JSON.stringify(done, null, 2)}\n`);
  const shown = process.argv.slice(2).map((argument, i, all) => {
    if (all[i - 1] === '--torch') return 'python';
    return all[i - 1] === '--json' ? basename(argument) : argument;
  });
  console.log(`\`${['pnpm bench:ddpm-cifar10', ...shown].join(' ')}\`\n`);
  console.log(`${machineFacts().join('; ')}. ${[...versions].join('; ')}.`);
  console.log(
    `${parameters.toLocaleString('en')} parameters, ${(multiplyAdds / 1e9).toFixed(2)} G multiply-adds an image forward; batch ${batch}, medians of ${rounds} steps; load while it ran ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}.\n`,
  );
  console.log(
    '| | ms a step | min – max | × best rival | G multiply-adds/s | MiB | peak MiB | first step s | first loss |',
  );
  console.log('| --- | --: | --: | --: | --: | --: | --: | --: | --: |');
  for (const row of done) {
    const ratio = row.ratioToBest === null ? '' : `**${row.ratioToBest.toFixed(2)}** ${row.bestRival}`;
    console.log(
      `| ${row.variant} | ${ms(row.medianMs)} | ${ms(row.minMs)} – ${ms(row.maxMs)} | ${ratio} | ${(row.multiplyAddsPerSecond / 1e9).toFixed(1)} | ${row.heldMiB.toFixed(0)} | ${row.peakMiB.toFixed(0)} | ${(row.firstMs / 1000).toFixed(1)} | ${row.firstLoss.toFixed(6)} |`,
    );
  }
  if (notes.length > 0) console.log(`\n${notes.map((note) => `- ${note}`).join('\n')}`);
} finally {
  for (const { worker } of racers) worker.stop();
  rmSync(folder, { recursive: true, force: true });
}
