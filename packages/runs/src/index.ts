export type { TextStream } from '@logsnr/io/node';
export { type Checkpoint, loadCheckpoint, saveCheckpoint } from './checkpoint.js';
export type { Picture } from './events.js';
export type { Json, Settings } from './manifest.js';
export { type ProgressLine, type ProgressLineOptions, progressLine } from './progress-line.js';
export type { Samples } from './recorder.js';
export { type Keep, loadAverages } from './store.js';
export { type RunHooks, type RunOptions, withRun } from './with-run.js';
