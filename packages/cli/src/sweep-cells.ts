import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { DamagedFile } from '@logsnr/io';
import { codeOf, faultOf, piecesOf, replaceFile, say, takeLock } from '@logsnr/io/node';
import * as v from 'valibot';

/** A place in the table: guidance weight and sampling steps, of a model. */
export interface Cell {
  /** What its files' names begin with, where the model is not the one that the folder was begun with. */
  readonly prefix?: string | undefined;
  readonly w: number;
  readonly steps: number;
}

const scoreSchema = v.object({
  w: v.number(),
  steps: v.number(),
  samples: v.number(),
  fid: v.number(),
  is: v.nullable(v.number()),
  isStd: v.nullable(v.number()),
  seconds: v.number(),
});

/** What a cell's file holds: the Fréchet distance, and the Inception Score where the extractor has a classifier. */
export type CellScores = Readonly<v.InferOutput<typeof scoreSchema>>;

const FOLDER = 'cells';
export const cellFile = (out: string, { prefix, w, steps }: Cell, end: string): string =>
  join(out, FOLDER, `${prefix === undefined ? '' : `${prefix}-`}w${w}-T${steps}.${end}`);

/** The scores of a cell that is done. @throws DamagedFile on a file that is not one. */
export async function scoresOf(out: string, cell: Cell): Promise<CellScores | undefined> {
  const path = cellFile(out, cell, 'json');
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  if (text === undefined) return undefined;
  const { success, output, issues } = v.safeParse(v.pipe(v.string(), v.parseJson(), scoreSchema), text);
  if (success) return output;
  throw new DamagedFile(`${path} is not what a sweep writes: ${faultOf(issues)}. Delete it to compute it again.`);
}

/** Where in the list a task of an array begins, so that tasks that start together do not go for the same cell. */
export function firstCell(cells: number, env: NodeJS.ProcessEnv = process.env): number {
  const { SLURM_ARRAY_TASK_ID, SLURM_ARRAY_TASK_MIN = '0', SLURM_ARRAY_TASK_COUNT, JOB_COMPLETION_INDEX } = env;
  const index =
    Number(SLURM_ARRAY_TASK_ID ?? JOB_COMPLETION_INDEX ?? 0) - (SLURM_ARRAY_TASK_ID ? Number(SLURM_ARRAY_TASK_MIN) : 0);
  const count = Number(SLURM_ARRAY_TASK_COUNT ?? cells);
  const first = Math.floor((index * cells) / Math.max(1, count));
  return Number.isSafeInteger(first) && first >= 0 ? first % cells : 0;
}

/**
 * Does every cell that nobody has done, one at a time under a lock of its own, so that processes share a folder. A cell is done when
 * its file is there, which is written whole; one whose process was killed is taken over.
 * @returns the cells that other processes are at.
 */
export async function doCells<C extends Cell>(
  out: string,
  cells: readonly C[],
  compute: (cell: C) => Promise<CellScores>,
): Promise<C[]> {
  const first = firstCell(cells.length);
  let left = [...cells.slice(first), ...cells.slice(0, first)];
  for (;;) {
    const busy: C[] = [];
    let done = 0;
    const held: string[] = [];
    for (const cell of left) {
      if (await scoresOf(out, cell)) continue;
      const lock = await takeLock(cellFile(out, cell, 'lock'), { what: 'computes this cell' }).catch(
        (error: unknown) => {
          if (codeOf(error) !== undefined) throw error;
          held.push((error as Error).message);
          return undefined;
        },
      );
      if (!lock) {
        busy.push(cell);
        continue;
      }
      try {
        // Another process may have ended it just before the lock was free.
        if (await scoresOf(out, cell)) continue;
        const scores = await compute(cell);
        await lock.check();
        await replaceFile(cellFile(out, cell, 'json'), piecesOf(`${JSON.stringify(scores, null, 2)}\n`));
        done++;
      } finally {
        await lock.release();
      }
    }
    if (busy.length === 0 || done === 0) {
      for (const message of held) say(message);
      return busy;
    }
    left = busy;
    await sleep(200);
  }
}

/** Whether a folder is free for a sweep: not there, or a sweep's. */
export async function isForeign(out: string, own: string): Promise<boolean> {
  const names = await readdir(out).catch(() => [] as string[]);
  return names.length > 0 && !names.includes(own);
}
