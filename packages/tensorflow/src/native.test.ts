import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { backendInfo } from './backend.js';

const native = backendInfo()?.backend === 'tensorflow';
const root = fileURLToPath(new URL('../../..', import.meta.url));

/** Runs modules in worker threads of one process, one after the other, and then prints some of its own environment. */
function inWorkers(programs: readonly string[], names: readonly string[] = []) {
  const begin = `
    (await import('tsx/esm/api')).register();
    const { compile, useBackend } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    const { neg, scalar } = await import('@tensorflow/tfjs-core');`;
  const main = `
    import { once } from 'node:events';
    import { Worker } from 'node:worker_threads';
    for (const program of ${JSON.stringify(programs.map((program) => begin + program))})
      await once(new Worker(program, { eval: true }), 'exit');
    for (const name of ${JSON.stringify(names)}) console.log(name, process.env[name]);`;
  const env: NodeJS.ProcessEnv = { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` };
  for (const name of names) delete env[name];
  return spawnSync(process.execPath, ['--input-type=module', '--eval', main], { cwd: root, encoding: 'utf8', env });
}

const start = "await useBackend({ quiet: true, backend: 'tensorflow' });";

test.runIf(native)('a process that uses TensorFlow in a worker thread alone ends without a crash', () => {
  const program = `${start} console.log(compile((x) => neg(x))(scalar(3)).dataSync()[0]);`;
  const { status, signal, stdout, stderr } = inWorkers([program]);
  expect({ status, signal, stdout }, stderr).toEqual({ status: 0, signal: null, stdout: '-3\n' });
});

test.runIf(native)('what is set in a worker thread reaches TensorFlow, and what comes too late for it is said', () => {
  const set = (threads: number) => `process.env.TF_NUM_INTRAOP_THREADS = '${threads}'; ${start}`;
  const { stdout, stderr } = inWorkers([set(1), set(1), set(2)], ['TF_CPP_MIN_LOG_LEVEL', 'TF_NUM_INTRAOP_THREADS']);
  expect(stdout).toBe('TF_CPP_MIN_LOG_LEVEL 2\nTF_NUM_INTRAOP_THREADS 1\n');
  expect(stderr).toBe(
    'TensorFlow was loaded by another thread before, with other values of TF_NUM_INTRAOP_THREADS; those of this thread have no effect\n',
  );
});
