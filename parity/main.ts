// pnpm parity rows.json: runs reference loops of HF diffusers with our samplers, and prints one JSON line a row.
import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { type Arithmetic, float64, runRow } from './loop.js';
import { parseRows } from './rows.js';
import { onTensors } from './tensors.js';

const command = new Command('parity')
  .description(
    'Runs the reference loops of a file of rows (docs/parity.md) and prints one JSON line a row: { name, sum, mean },\nthe sum and the mean of |x| at the end.',
  )
  .argument('<rows.json>', 'a JSON array of rows')
  .option('--tensors', 'compute on float32 tensors of the native backend instead of float64 numbers', false)
  .parse();

try {
  const rows = parseRows(readFileSync(command.args[0] as string, 'utf8'));
  const arithmetic = command.opts<{ tensors: boolean }>().tensors ? await onTensors() : float64;
  for (const row of rows)
    try {
      console.log(JSON.stringify(runRow(row, arithmetic as Arithmetic<never>)));
    } catch (error) {
      throw new Error(`"${row.name}" has no result: ${(error as Error).message}`);
    }
} catch (error) {
  console.error(`parity: ${(error as Error).message}`);
  process.exitCode = 1;
}
