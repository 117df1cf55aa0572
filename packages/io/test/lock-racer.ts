// Takes the lock some times. Each time it leaves the lock as a process does that was killed.
//   node --import tsx lock-racer.ts FOLDER TIMES
import { randomUUID } from 'node:crypto';
import { open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { takeLock } from '../src/lock.js';

const [folder, times] = process.argv.slice(2);
if (folder === undefined) throw new Error('FOLDER is missing');
const path = join(folder, 'lock');
for (let time = 0; time < Number(times); time++) {
  const lock = await takeLock(path, { waitMs: 60_000 });
  // Fails where another process is inside.
  await (await open(join(folder, 'inside'), 'wx')).close();
  await lock.check();
  const dead = { ...JSON.parse(await readFile(path, 'utf8')), pid: 2 ** 22 + 1, id: randomUUID() };
  const beside = join(folder, `dead-${process.pid}`);
  await writeFile(beside, JSON.stringify(dead));
  await rm(join(folder, 'inside'));
  await rename(beside, path);
}
