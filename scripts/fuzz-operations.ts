// Runs every native operation on random ranks, sizes, types and attributes. It must give what its composed form gives, or
// refuse by an error that names it. The cases run in processes of their own: one that crashes is reported, and the next
// goes on after it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { checkAbove, checkInteger } from '@logsnr/core';

export interface OperationsFuzz {
  seed: number;
  /** How many cases, and the number of the first. */
  cases?: number;
  first?: number;
  /** No case begins after this time, as `Date.now()` tells it. */
  until?: number;
  /** A file to take the operations from, in place of the one beside the binding. */
  operations?: string;
  /** Further environment variables of the processes. */
  env?: Record<string, string>;
}

export interface OperationsReport {
  /** Cases that ended with a right result, and with a right refusal. */
  results: number;
  refusals: number;
  /** What went wrong: the command that repeats it, the case, and what came of it. */
  failures: string[];
}

const root = fileURLToPath(new URL('..', import.meta.url));
/** A process that says nothing for this long hangs, in ms. Its start counts too. */
const patience = 60_000;

/** Runs cases `first`, `first` + 1, … of a seed until there are `cases` of them or the time is over. */
export async function fuzzOperations(options: OperationsFuzz): Promise<OperationsReport> {
  const { seed, first = 0, cases = Number.POSITIVE_INFINITY, until = Number.POSITIVE_INFINITY } = options;
  const report: OperationsReport = { results: 0, refusals: 0, failures: [] };
  let next = first;
  while (next < first + cases && Date.now() < until && report.failures.length < 20) {
    const range = [seed, next, first + cases, until].map(String);
    const { last = -1, crash } = await runCases(range, options, report);
    if (last < 0 && crash) throw new Error(`no case could be run: ${crash}`);
    if (!crash) break;
    next = last + 1;
  }
  return report;
}

/** One process. Returns the number of the last case that it began, and what ended it, if not the end of its cases. */
async function runCases(range: string[], { seed, operations, env }: OperationsFuzz, report: OperationsReport) {
  const args = ['--import', 'tsx', `${root}/scripts/fuzz-operations-worker.ts`, ...range];
  const child = spawn(process.execPath, operations ? [...args, operations] : args, {
    cwd: root,
    env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json`, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [errors, last, given]: [string, number | undefined, string] = ['', undefined, ''];
  const fail = (what: string) =>
    report.failures.push(
      `node --import tsx scripts/fuzz-operations.ts --seed ${seed} --first ${last} --cases 1\n  ${given}\n  ${what}`,
    );
  const timer = setTimeout(() => child.kill('SIGKILL'), patience);
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors = (errors + text).slice(-8000);
  });
  createInterface(child.stdout).on('line', (line) => {
    timer.refresh();
    const begun = /^case (\d+) (.*)$/.exec(line);
    if (begun) [last, given] = [Number(begun[1]), begun[2] as string];
    else if (line === 'result') report.results++;
    else if (line === 'refused') report.refusals++;
    else fail(line);
  });
  const [code, signal] = await once(child, 'close');
  clearTimeout(timer);
  const crash = code === 0 ? undefined : `the process ended with ${signal ?? code}: ${errors.trim()}`;
  if (crash && last !== undefined) fail(crash);
  return { last, crash };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const options = Object.fromEntries(
    ['minutes', 'cases', 'first', 'seed'].map((name) => [name, { type: 'string' }] as const),
  );
  const { values } = parseArgs({ args: process.argv.slice(2).filter((arg) => arg !== '--'), options });
  const [seed, first] = [Number(values.seed ?? 0), Number(values.first ?? 0)];
  const cases = Number(values.cases ?? Number.MAX_SAFE_INTEGER - first);
  const minutes = Number(values.minutes ?? (values.cases ? 60 : 1));
  checkInteger('--seed', seed);
  checkInteger('--first', first);
  checkInteger('--cases', cases, 1);
  checkAbove('--minutes', minutes);
  const until = Date.now() + 60_000 * minutes;
  const { results, refusals, failures } = await fuzzOperations({ seed, first, cases, until });
  console.log(`seed ${seed}: ${results} right results, ${refusals} right refusals, ${failures.length} failures`);
  for (const failure of failures) console.log(failure);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
