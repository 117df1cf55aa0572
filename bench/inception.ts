// pnpm bench:inception: images a second of FID's Inception here and in PyTorch, each in a process of its own, in turns.
import { loadavg } from 'node:os';
import { Command } from 'commander';
import { machineFacts } from './machine.js';
import { above } from './options.js';
import { median } from './statistics.js';
import { here, startProcess, type Worker } from './worker-process.js';

const options = new Command('bench:inception')
  .description('Times the features of images, 32×32 scaled to 299×299: compiled here, and PyTorch’s variants.')
  .option('--torch <python>', 'a Python with PyTorch, to compare with it')
  .option('--batch <n>', 'images a call', above('batch', 1, true), 16)
  .option('--rounds <n>', 'turns that each takes', above('rounds', 1, true), 7)
  .parse()
  .opts<{ torch?: string; batch: number; rounds: number }>();

const LIMIT = 600_000;
const rivals = ['torch', 'torch-last', 'torch-compile'] as const;
const own = startProcess(process.execPath, [...process.execArgv, here('inception-worker.ts')]);
const racers: { name: string; worker: Worker; wall: number[]; work: number[] }[] = [
  { name: 'compiled', worker: own, wall: [], work: [] },
];
try {
  const { weights, version } = await own.request<{ weights: string; version: string }>(
    { cmd: 'load', batch: options.batch },
    LIMIT,
  );
  const versions = [version];
  for (const name of options.torch ? rivals : []) {
    const worker = startProcess(options.torch as string, ['-u', here('torch_inception.py'), name]);
    racers.push({ name, worker, wall: [], work: [] });
    const loaded = await worker.request<{ version: string }>({ cmd: 'load', weights, batch: options.batch }, LIMIT);
    if (!versions.includes(loaded.version)) versions.push(loaded.version);
  }
  const outputs = new Map<string, number[]>();
  for (const { name, worker } of racers)
    outputs.set(name, (await worker.request<{ features: number[] }>({ cmd: 'features' }, LIMIT)).features);
  const loads: number[] = [];
  for (let round = 0; round < options.rounds; round++)
    for (const { worker, wall, work } of racers) {
      // The threads of the one that ran spin for a while before they sleep.
      await new Promise((done) => setTimeout(done, 100));
      const { ms, cpuMs } = await worker.request<{ ms: number; cpuMs: number }>({ cmd: 'turn' }, LIMIT);
      wall.push(ms);
      work.push(cpuMs);
      loads.push(loadavg()[0] as number);
    }
  console.log(`${machineFacts().join('; ')}. ${versions.join('; ')}.`);
  console.log(
    `Batches of ${options.batch} images of 32×32, medians of ${options.rounds} turns; load while it ran ${Math.min(...loads).toFixed(1)} to ${Math.max(...loads).toFixed(1)}.\n`,
  );
  console.log('| | images a second | best turn | ms of the processor an image | MiB | differs by |');
  console.log('| --- | --: | --: | --: | --: | --: |');
  for (const { name, worker, wall, work } of racers) {
    const { peakMiB } = await worker.request<{ peakMiB: number }>({ cmd: 'memory' }, LIMIT);
    const speed = (ms: number) => ((1000 * options.batch) / ms).toFixed(2);
    const [mine, theirs] = [outputs.get('compiled') as number[], outputs.get(name) as number[]];
    const difference = mine.reduce((most, value, i) => Math.max(most, Math.abs(value - (theirs[i] as number))), 0);
    console.log(
      `| ${name} | ${speed(median(wall))} | ${speed(Math.min(...wall))} | ${(median(work) / options.batch).toFixed(1)} | ${peakMiB.toFixed(0)} | ${difference.toExponential(1)} |`,
    );
  }
} finally {
  for (const { worker } of racers) worker.stop();
}
