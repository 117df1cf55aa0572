export { type MnistOptions, mnist } from './mnist.js';
export { serveBatches } from './serve-batches.js';
export { batchWorker } from './worker.js';
