export type { Picture } from './run/events.js';
export type { Json, Settings } from './run/manifest.js';
export type { Samples } from './run/recorder.js';
export { type Keep, loadAverages } from './run/store.js';
export { type RunHooks, type RunOptions, withRun } from './run/with-run.js';
