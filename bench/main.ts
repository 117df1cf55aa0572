// pnpm bench: times every variant side by side, in turns and never at once, and checks that all compute the same.
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { arctan, grid } from '@logsnr/schedules';
import { type Case, networks, precisionOf, settings, stepsOf } from './cases.js';
import { machineFacts } from './machine.js';
import { markdown, ms } from './markdown.js';
import { type Cell, measureCell } from './measure.js';
import { readOptions } from './options.js';
import { countJob, measurePeaks } from './peak.js';
import { prepare } from './prepare.js';
import { type Row, withRatios } from './statistics.js';

const options = readOptions();
const started = performance.now();
const deadline = options.quick ? started + 105_000 : Number.POSITIVE_INFINITY;
const left = () => deadline - performance.now();
const folder = mkdtempSync(join(tmpdir(), 'logsnr-bench-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

/** Float32 variants must agree with the reference to this much in the forward pass. */
const TOLERANCE = 1e-4;

const rows: Row[] = [];
const versions = new Set<string>();
const notes: string[] = [];
const counts = new Map<string, number>();
const worst = new Map<string, number>();
const schedule = arctan({ lambdaMin: settings.lambdaMin, lambdaMax: settings.lambdaMax });
const peaks = await measurePeaks(options.torch);

let cellsLeft = options.net.length * options.batch.length * options.case.length;
for (const network of options.net) {
  const config = networks[network];
  if (!config) continue;
  const files = prepare(folder, network, config, Math.max(...options.batch));
  for (const batch of options.batch)
    for (const what of options.case) {
      if (left() < 10_000) {
        notes.push(`${network}, ${what}, batch ${batch}: left out, the time was over`);
        continue;
      }
      // ONNX Runtime races in the forward pass alone.
      const variants = options.variant.filter((variant) => variant !== 'onnx' || what === 'forward');
      const lambdas = grid(schedule, stepsOf(batch));
      const job = { ...settings, case: what, batch, config, ...files, lambdas };
      const flops = await countJob(job);
      const limitMs = 1000 * options.limit;
      const until = performance.now() + left() / cellsLeft--;
      const { torch, rounds } = options;
      take(
        await measureCell({ network, job, variants, torch, rounds, limitMs, graceMs: 180_000, until, flops, peaks }),
        network,
        what,
        batch,
      );
    }
}

function take(cell: Cell, network: string, what: Case, batch: number): void {
  const done = withRatios(cell.rows);
  rows.push(...done);
  notes.push(...cell.notes);
  for (const version of cell.versions) versions.add(version);
  if (cell.parameters > 0) counts.set(network, cell.parameters);
  for (const { variant, reference, difference } of cell.differences) {
    const name = `${what}: ${variant} against ${reference}`;
    worst.set(name, Math.max(worst.get(name) ?? 0, difference));
    if (what === 'forward' && precisionOf(variant) === 'float32' && !(difference < TOLERANCE)) {
      process.exitCode = 1;
      notes.push(`${network}, batch ${batch}: the outputs of ${variant} and ${reference} differ by ${difference}`);
    }
  }
  // After every cell, so that a run that is ended early has what it measured.
  if (options.json) {
    writeFileSync(`${options.json}.tmp`, `${JSON.stringify(rows, null, 2)}\n`);
    renameSync(`${options.json}.tmp`, options.json);
  }
  for (const { variant, medianMs, minMs, maxMs, ratioToBest, bestRival } of done)
    process.stderr.write(
      `${network} ${what.padEnd(7)} batch ${String(batch).padStart(2)} ${variant.padEnd(18)} ${ms(medianMs).padStart(7)} ms (${ms(minMs)} – ${ms(maxMs)})${ratioToBest === null ? '' : `  ${ratioToBest.toFixed(2)} × ${bestRival}`}\n`,
    );
}

const compared = [...worst].map(
  ([name, difference]) => `Largest difference of outputs, ${name}: ${difference.toExponential(1)}`,
);
const sizes = [...counts].map(([name, count]) => `${name} ${count.toLocaleString('en')}`);
const shown = process.argv.slice(2).map((argument, i, all) => {
  if (all[i - 1] === '--torch') return 'python';
  return all[i - 1] === '--json' ? basename(argument) : argument;
});
const peakFact = `Peak, by a large matrix product in this run: ${Object.entries(peaks)
  .map(([precision, flops]) => `${precision} ${(flops / 1e9).toFixed(0)} GFLOP/s`)
  .join(', ')}`;
const minutes = ((performance.now() - started) / 60_000).toFixed(1);
const text = markdown(rows, {
  command: ['pnpm bench', ...shown].join(' '),
  facts: [...machineFacts(), ...versions, peakFact, `${minutes} minutes, ${new Date().toISOString().slice(0, 10)}`],
  notes: [`Parameters, the same number in every variant: ${sizes.join(', ')}`, ...compared, ...notes],
});
console.log(text);
