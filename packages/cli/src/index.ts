export { main } from './main.js';
export { type LoadedFolder, type ModelRecord, openModel, readRecord } from './model-folder.js';
