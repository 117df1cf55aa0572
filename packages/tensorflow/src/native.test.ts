import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { backendInfo } from './backend.js';

test.runIf(backendInfo()?.backend === 'tensorflow')(
  'a process that uses TensorFlow in a worker thread alone ends without a crash',
  () => {
    const root = fileURLToPath(new URL('../../..', import.meta.url));
    const inWorker = `
      (await import('tsx/esm/api')).register();
      const { compile, useBackend } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
      const { neg, scalar } = await import('@tensorflow/tfjs-core');
      await useBackend({ quiet: true, backend: 'tensorflow' });
      console.log(compile((x) => neg(x))(scalar(3)).dataSync()[0]);`;
    const main = `new (await import('node:worker_threads')).Worker(${JSON.stringify(inWorker)}, { eval: true });`;
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', main], {
      cwd: root,
      encoding: 'utf8',
      env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json` },
    });
    expect({ status, signal, stdout }, stderr).toEqual({ status: 0, signal: null, stdout: '-3\n' });
  },
);
