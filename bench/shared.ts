// pnpm bench:shared: what two processes that train on the same cores get done alone and at once. Threads that spin while they
// wait would take the other's time.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { networks, settings } from './cases.js';
import { above } from './options.js';
import { prepare } from './prepare.js';
import { startWorker, type Worker } from './worker-process.js';

const { seconds } = new Command('bench:shared')
  .description('Trains two networks compiled, batch 16, alone and at once, and prints steps a second.')
  .option('--seconds <s>', 'time of each of the three measurements', above('seconds', 1, false), 10)
  .parse()
  .opts<{ seconds: number }>();

const TIMEOUT_MS = 120_000;
const folder = mkdtempSync(join(tmpdir(), 'logsnr-shared-'));
const workers: Worker[] = [];

async function start(network: string): Promise<Worker> {
  const config = networks[network];
  if (!config) throw new RangeError(`there is no network "${network}".`);
  const worker = startWorker('compiled');
  workers.push(worker);
  const job = { ...settings, case: 'train', batch: 16, config, ...prepare(folder, network, config, 16), lambdas: [] };
  await worker.request({ cmd: 'load', job }, TIMEOUT_MS);
  await worker.request({ cmd: 'turn', ms: 1000 }, TIMEOUT_MS);
  return worker;
}

/** Steps a second. */
async function speed(worker: Worker): Promise<number> {
  const ms = 1000 * seconds;
  const { times } = await worker.request<{ times: number[] }>({ cmd: 'turn', ms }, ms + TIMEOUT_MS);
  return times.length / (times.reduce((sum, time) => sum + time, 0) / 1000);
}

try {
  const names = ['28x28-w16', '32x32-w32'];
  for (const name of names) await start(name);
  const alone: number[] = [];
  for (const worker of workers) alone.push(await speed(worker));
  const both = await Promise.all(workers.map(speed));
  const shares = both.map((speed, i) => speed / (alone[i] as number));
  names.forEach((name, i) => {
    const percent = `${(100 * (shares[i] as number)).toFixed(0)} %`;
    console.log(`${name}: ${alone[i]?.toFixed(2)} steps/s alone, ${both[i]?.toFixed(2)} beside the other, ${percent}`);
  });
  console.log(
    `Sum of the shares: ${shares.reduce((sum, share) => sum + share, 0).toFixed(2)}; at 1.00 and above nothing is lost by sharing.`,
  );
} finally {
  for (const worker of workers) worker.stop();
  rmSync(folder, { recursive: true, force: true });
}
