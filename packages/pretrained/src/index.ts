export type { Peer } from './find-peer.js';
export type { AttentionOrder } from './guided-diffusion.js';
export { type LoadOptions, loadParameters } from './load.js';
export type { LoadProgress } from './read.js';
export { type SaveOptions, saveParameters } from './save.js';
