import { readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { checkInteger } from '@logsnr/core';
import { DamagedFile } from '@logsnr/io';
import { besideOf, codeOf, explained, makeFolder, syncFolder } from '@logsnr/io/node';
import type { Parameters } from '@logsnr/nn';
import { disposeState, type TrainingState } from '@logsnr/training';
import { dispose, getBackend, type TensorContainer } from '@tensorflow/tfjs-core';
import { type Checkpoint, readCheckpoint, writeCheckpoint } from './checkpoint.js';
import { type Manifest, readManifest, type Settings, writeManifest } from './manifest.js';
import { checkSettings } from './settings.js';

/** Which checkpoints stay: the newest ones, and the first one in each stretch of steps. */
export interface Keep {
  /** How many of the newest. 3 unless given. */
  readonly last?: number;
  /** Keep for good the first checkpoint of every so many steps. None unless given. */
  readonly every?: number;
}

/** The checkpoints of a run, each a folder `step-00001000` of files that are whole, or not there. */
export interface Store {
  /**
   * The newest checkpoint that is whole, whose tensors the caller owns. Broken ones after it are set aside, as
   * `….broken`, with a warning that names the file.
   * @throws Error where there are checkpoints, and none is whole; RangeError where it is of a run with other settings.
   */
  newest(shapes?: Readonly<Record<string, readonly number[]>>): Promise<Found | undefined>;
  /** The steps that there are checkpoints of, rising. */
  steps(): Promise<number[]>;
  /** Writes one and thins the others. After an error all is as before. */
  save(state: TrainingState): Promise<void>;
}

export interface Found extends Pick<Manifest, 'backends'> {
  readonly checkpoint: Checkpoint;
  readonly folder: string;
}

const STATE = 'state.safetensors';
const nameOf = (step: number): string => `step-${String(step).padStart(8, '0')}`;

/** The store in `folder`, which is made where it is not there. What an interrupted write left is removed. */
export async function openStore(
  folder: string,
  { settings, keep = {}, warn }: { settings: Settings; keep?: Keep; warn: (text: string) => void },
): Promise<Store> {
  const { last = 3, every } = keep;
  checkInteger('keep.last', last, 1);
  if (every !== undefined) checkInteger('keep.every', every, 1);
  try {
    await makeFolder(folder);
    await syncFolder(dirname(folder));
    for (const name of await readdir(folder))
      if (name.endsWith('.tmp')) await rm(join(folder, name), { recursive: true, force: true });
  } catch (error) {
    throw explained(error, folder);
  }

  const steps = () => stepsIn(folder);
  let backends: Manifest['backends'] = [];
  let next = 1;
  return {
    steps,
    async newest(shapes) {
      const broken = new Map<string, string>();
      for (const step of (await steps()).reverse()) {
        const path = join(folder, nameOf(step));
        try {
          const found = await open(path, step, settings, shapes);
          for (const [old, fault] of broken) {
            const aside = `${old}.broken`;
            await rm(aside, { recursive: true, force: true });
            await rename(old, aside);
            warn(
              `${fault.replace(/\.$/, '')}: that checkpoint is set aside as ${aside}, and the run goes on from step ${step}.`,
            );
          }
          [backends, next] = [found.backends, step + 1];
          const before = backends.at(-1)?.name ?? getBackend();
          if (before !== getBackend())
            warn(
              `${path} was written on the backend "${before}", and the run continues on "${getBackend()}": it is no longer bit for bit a run of one backend.`,
            );
          return found;
        } catch (error) {
          if (!(error instanceof DamagedFile)) throw error;
          broken.set(path, error.message);
        }
      }
      if (broken.size > 0)
        throw new Error(
          `no checkpoint in ${folder} is whole: ${[...broken.values()].join('; ')}. Put the files back, or delete the folder to start anew.`,
        );
      return undefined;
    },
    async save(state) {
      const path = join(folder, nameOf(state.step));
      const beside = besideOf(path);
      try {
        await makeFolder(beside);
        const written = await writeCheckpoint(join(beside, STATE), state);
        const name = getBackend();
        if (backends.at(-1)?.name !== name) backends = [...backends, { from: next, name }];
        await writeManifest(beside, { step: state.step, settings, backends, files: { [STATE]: written } });
        await syncFolder(beside);
        await moveInto(beside, path);
      } catch (error) {
        await rm(beside, { recursive: true, force: true }).catch(() => {});
        throw explained(error, path);
      }
      try {
        await syncFolder(folder);
        for (const step of stale(await steps(), last, every))
          await rm(join(folder, nameOf(step)), { recursive: true, force: true });
      } catch (error) {
        warn(`${explained(error, folder).message} ${path} is saved; older checkpoints stay.`);
      }
    },
  };
}

/** The steps that a folder has checkpoints of, rising; none where there is no folder. */
const stepsIn = async (folder: string): Promise<number[]> =>
  (
    await readdir(folder).catch((error: unknown): string[] => {
      if (codeOf(error) === 'ENOENT') return [];
      throw error;
    })
  )
    .map((name) => Number(/^step-(\d+)$/.exec(name)?.[1] ?? Number.NaN))
    .filter(Number.isSafeInteger)
    .sort((a, b) => a - b);

/**
 * The averages that a run kept (`keepAverages` of `withRun`), by step, for `reconstructEma`. The caller owns their
 * tensors.
 * @throws Error that names the file where one was changed, or where there are none.
 */
export async function loadAverages(
  folder: string,
): Promise<{ readonly step: number; readonly averages: Readonly<Record<string, Parameters>> }[]> {
  const own = join(folder, 'averages');
  const steps = await stepsIn(own);
  if (steps.length === 0) throw new Error(`${own} holds no averages; train with \`keepAverages\`.`);
  const loaded: { step: number; averages: Readonly<Record<string, Parameters>> }[] = [];
  try {
    for (const step of steps) {
      const { checkpoint } = await open(join(own, nameOf(step)), step);
      loaded.push({ step, averages: checkpoint.averages ?? {} });
    }
  } catch (error) {
    dispose(loaded.map(({ averages }) => averages) as unknown as TensorContainer);
    throw error;
  }
  return loaded;
}

/** Puts a folder where one of the same name may be, such as averages of a step that is taken again. */
async function moveInto(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (!['ENOTEMPTY', 'EEXIST', 'EPERM'].includes(codeOf(error) ?? '')) throw error;
    const aside = besideOf(to);
    await rename(to, aside);
    await rename(from, to).catch(async (error) => {
      await rename(aside, to);
      throw error;
    });
    await rm(aside, { recursive: true, force: true }).catch(() => {});
  }
}

async function open(
  path: string,
  step: number,
  settings?: Settings,
  shapes?: Readonly<Record<string, readonly number[]>>,
): Promise<Found> {
  const manifest = await readManifest(path, [STATE]);
  if (manifest.step !== step) throw new DamagedFile(`${path} holds step ${manifest.step}, not the step of its name`);
  const written = manifest.files[STATE];
  if (!written) throw new DamagedFile(`${join(path, 'manifest.json')} does not list ${STATE}`);
  if (settings) checkSettings(manifest.settings, settings, path);
  const state = join(path, STATE);
  const checkpoint = await readCheckpoint(state, shapes, written).catch((error: unknown) => {
    throw codeOf(error) === 'ENOENT' ? new DamagedFile(`${state} is missing`) : error;
  });
  if (checkpoint.step === step) return { checkpoint, folder: path, backends: manifest.backends };
  disposeState(checkpoint);
  throw new DamagedFile(`${state} is of step ${checkpoint.step}, not ${step}`);
}

/** Which of `steps` (rising) to remove. */
export function stale(steps: readonly number[], last: number, every?: number): number[] {
  const kept = new Set(steps.slice(-last));
  const stretches = new Set<number>();
  for (const step of every === undefined ? [] : steps) {
    const stretch = Math.floor(step / (every as number));
    if (!stretches.has(stretch)) kept.add(step);
    stretches.add(stretch);
  }
  return steps.filter((step) => !kept.has(step));
}
