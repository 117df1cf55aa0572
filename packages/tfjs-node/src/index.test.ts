import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'logsnr-tfjs-node-'));
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a program that has the package as `tf`, and reads the line of JSON that it prints. */
function run(program: string, env: Readonly<Record<string, string>> = {}) {
  const file = join(folder, 'program.mts');
  writeFileSync(file, `import * as tf from '@logsnr/tfjs-node';\n${program}`);
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', import.meta.resolve('tsx'), file], {
    cwd: root,
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, TSX_TSCONFIG_PATH: `${root}/tsconfig.json`, ...env },
  });
  return { status, stderr, json: status === 0 ? JSON.parse(stdout) : undefined };
}

test('has all that the stock package has: layers, pictures, files, TensorBoard', () => {
  const { json, stderr } = run(`
    const model = tf.sequential({ layers: [tf.layers.dense({ inputShape: [2], units: 1 })] });
    model.compile({ loss: 'meanSquaredError', optimizer: tf.train.sgd(0.1) });
    const [x, y] = [tf.tensor2d([[0, 1], [1, 0], [1, 1]]), tf.tensor2d([[1], [2], [3]])];
    const { history } = await model.fit(x, y, { epochs: 60, verbose: 0, callbacks: tf.node.tensorBoard(${JSON.stringify(`${folder}/board`)}) });
    await model.save(${JSON.stringify(`file://${folder}/model`)});
    const loaded = await tf.loadLayersModel(${JSON.stringify(`file://${folder}/model/model.json`)});
    const same = tf.equal(loaded.predict(x), model.predict(x)).all().dataSync()[0];
    const pixels = tf.tensor3d([0, 50, 100, 150, 200, 250], [1, 2, 3], 'int32');
    const png = tf.node.decodePng(await tf.node.encodePng(pixels));
    console.log(JSON.stringify({
      backend: tf.getBackend(), losses: [history.loss[0], history.loss.at(-1)], same,
      png: [...png.dataSync()], version: tf.version, handlers: typeof tf.io.fileSystem,
    }));`);
  expect(stderr).toBe('');
  expect(json).toMatchObject({
    ...{ backend: 'tensorflow', same: 1, png: [0, 50, 100, 150, 200, 250], handlers: 'function' },
    version: { 'tfjs-node': '4.22.0', 'tfjs-core': '4.22.0' },
  });
  expect(json.losses[1]).toBeLessThan(0.1 * json.losses[0]);
  expect(readdirSync(`${folder}/model`).sort()).toEqual(['model.json', 'weights.bin']);
  expect(readdirSync(`${folder}/board/train`)).toHaveLength(1);
});

test('says in one line what to do where there is no TensorFlow', () => {
  const { status, stderr } = run('console.log(tf.getBackend())', { LOGSNR_TENSORFLOW: folder });
  expect(status).not.toBe(0);
  expect(stderr).toContain(`Unavailable: ${folder}, given as TensorFlow's folder, lacks libtensorflow_cc.so.2`);
});
