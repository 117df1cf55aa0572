import { readdir, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { Prediction, Schedule } from '@logsnr/core';
import { DamagedFile } from '@logsnr/io';
import { faultOf, makeFolder, piecesOf, readText, replaceFile } from '@logsnr/io/node';
import type { NetworkSpec } from '@logsnr/networks';
import type { Parameters } from '@logsnr/nn';
import { type LoadedModel, loadModel, type ModelSpec, saveParameters } from '@logsnr/pretrained';
import * as schedules from '@logsnr/schedules';
import * as v from 'valibot';

/** The functions of `@logsnr/schedules` that make a schedule of options. */
const SCHEDULES = {
  arctan: schedules.arctan,
  cosine: schedules.cosine,
  linearBeta: schedules.linearBeta,
  sigmoidSchedule: schedules.sigmoidSchedule,
  uniform: schedules.uniform,
  laplace: schedules.laplace,
  logNormal: schedules.logNormal,
  karras: schedules.karras,
};
type ScheduleName = keyof typeof SCHEDULES;

/** The first field of a record. */
export const FORMAT = { format: 'logsnr-model-1' } as const;

const scheduleSchema = v.objectWithRest({ name: v.picklist(Object.keys(SCHEDULES) as ScheduleName[]) }, v.number());
const schema = v.looseObject({
  format: v.literal(FORMAT.format),
  name: v.string(),
  network: v.object({ kind: v.picklist(['unet', 'dit']), config: v.looseObject({ classes: v.number() }) }),
  prediction: v.picklist(['eps', 'x', 'v', 'score']),
  variance: v.optional(v.literal('range')),
  nullLabel: v.optional(v.nullable(v.number())),
  schedule: v.optional(scheduleSchema),
  classNames: v.optional(v.array(v.string())),
  data: v.optional(v.looseObject({ name: v.string() })),
  training: v.optional(v.looseObject({})),
  versions: v.optional(v.record(v.string(), v.string())),
});

/** A schedule as data: the name of a function of `@logsnr/schedules`, and its options. */
export type ScheduleRecord = { readonly name: ScheduleName } & Readonly<Record<string, number | string>>;

/** What `model.json` says: all that a model is besides its weights. It may say more, such as accuracies or a licence. */
export interface ModelRecord {
  readonly format: 'logsnr-model-1';
  readonly name: string;
  readonly network: NetworkSpec<'unet' | 'dit'>;
  readonly prediction: Prediction;
  readonly variance?: 'range' | undefined;
  /** The label that is ∅, where it is not the one after the classes. */
  readonly nullLabel?: number | null | undefined;
  /** Of p(λ) and of the grids. A network with times of its own has theirs. */
  readonly schedule?: ScheduleRecord | undefined;
  /** In the order of the labels. */
  readonly classNames?: readonly string[] | undefined;
  /** What it was trained on. */
  readonly data?: { readonly name: string } | undefined;
  /** How it was trained. */
  readonly training?: object | undefined;
  readonly versions?: Readonly<Record<string, string>> | undefined;
}

/** The schedule that a record names. @throws RangeError on options that it does not take. */
export const scheduleOf = ({ name, ...options }: ScheduleRecord): Schedule => SCHEDULES[name](options as object);

const RECORD = 'model.json';
const WEIGHTS = 'model.safetensors';
const CHECKPOINTS = 'checkpoints';
/** More bytes are of no record. */
const LONGEST = 2 ** 22;

/** The record in a folder. @throws RangeError where there is none; DamagedFile, by the field, where it is not one. */
export async function readRecord(folder: string): Promise<ModelRecord> {
  const path = join(folder, RECORD);
  const text = await readText(path, LONGEST);
  if (text === undefined)
    throw new RangeError(
      `${folder} has no ${RECORD}; a model is a run folder of \`logsnr train\`, or a folder with ${RECORD} and ${WEIGHTS}.`,
    );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new DamagedFile(`${path} is not JSON: ${(error as Error).message}.`);
  }
  const { success, output, issues } = v.safeParse(schema, json);
  if (!success) throw new DamagedFile(`${path} does not say what the model is: ${faultOf(issues)}.`);
  const record = output as unknown as ModelRecord;
  if (!record.schedule && !record.network.config.time)
    throw new DamagedFile(`${path} has no schedule, and its network no times.`);
  return record;
}

/** Writes `model.json`. */
export async function writeRecord(folder: string, record: ModelRecord): Promise<void> {
  await replaceFile(join(folder, RECORD), piecesOf(`${JSON.stringify(record, null, 2)}\n`));
}

/** Writes `model.safetensors`: the parameters (borrowed) under our own names. */
export async function writeWeights(folder: string, network: NetworkSpec, parameters: Parameters): Promise<void> {
  await makeFolder(folder);
  await saveParameters(network, parameters, join(folder, WEIGHTS), { overwrite: true });
}

/** A model with its record, which `dispose` frees. */
export interface LoadedFolder extends LoadedModel<'unet' | 'dit'> {
  readonly record: ModelRecord;
  /** The schedule that the model was trained with, whose grids it is sampled on. */
  readonly schedule: Schedule;
  /** The file of its weights. */
  readonly file: string;
}

/**
 * The model that a text names: a run folder or a folder with `model.json` and `model.safetensors`; a file of weights in such a folder;
 * or the name of a package `@logsnr/model-NAME`, of which two files are read and nothing is run.
 * @throws RangeError that says what is accepted where there is no such thing; DamagedFile on a file that is not whole.
 */
export async function openModel(text: string): Promise<LoadedFolder> {
  const { folder, file } = await find(text);
  const record = await readRecord(folder);
  const { network, prediction, variance, nullLabel } = record;
  // A checkpoint has the averaged weights beside all else; a file of parameters has nothing else.
  const under = file.endsWith(WEIGHTS) ? undefined : 'ema';
  const spec: ModelSpec<'unet' | 'dit'> = { network, prediction, variance };
  const loaded = await loadModel(spec, file, { as: 'logsnr', under, nullLabel });
  const schedule = record.schedule ? scheduleOf(record.schedule) : loaded.times?.schedule;
  return { ...loaded, record, file, schedule: schedule as Schedule };
}

/** The folder that a model's record is in, and the file of its weights. */
async function find(text: string): Promise<{ folder: string; file: string }> {
  const stats = await stat(text).catch(() => undefined);
  if (stats?.isDirectory()) return { folder: text, file: await weightsIn(text) };
  if (stats?.isFile()) {
    for (const up of ['.', '..', '../../..']) {
      const folder = join(dirname(text), up);
      if (await readText(join(folder, RECORD), LONGEST)) return { folder, file: text };
    }
    throw new RangeError(`${text} has no ${RECORD} beside it, which says what the model is.`);
  }
  const packaged = /^[\w-]+$/.test(text) ? packageFolder(`@logsnr/model-${text}`) : undefined;
  if (packaged !== undefined) return { folder: packaged, file: await weightsIn(packaged) };
  throw new RangeError(
    `there is no model "${text}"; give a run folder of \`logsnr train\`, a checkpoint in one, or the name of a package that is installed: NAME of @logsnr/model-NAME.`,
  );
}

/** Where a package is: as seen from the user's folder, else from here. */
function packageFolder(name: string): string | undefined {
  for (const from of [join(process.cwd(), 'x.js'), import.meta.url]) {
    try {
      return dirname(createRequire(from).resolve(`${name}/package.json`));
    } catch {}
  }
  return undefined;
}

/** The file of the newest weights in a folder. */
async function weightsIn(folder: string): Promise<string> {
  const names = await readdir(join(folder, CHECKPOINTS)).catch(() => []);
  const newest = names
    .filter((name) => /^step-\d+$/.test(name))
    .sort()
    .at(-1);
  return newest === undefined ? join(folder, WEIGHTS) : join(folder, CHECKPOINTS, newest, 'state.safetensors');
}
