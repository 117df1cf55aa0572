export { CIFAR10_BATCHES, type Cifar10Batch, type Cifar10Options, cifar10, cifar10Batch } from './cifar10.js';
export { type FashionMnistOptions, fashionMnist } from './fashion-mnist.js';
export type { Rgb } from './image-file.js';
export type { BrokenImage, ImageFilesOptions } from './image-files.js';
export { imageFolder } from './image-folder.js';
export { type MnistOptions, mnist } from './mnist.js';
export { serveBatches } from './serve.js';
export { tarShards } from './tar-shards.js';
export { batchWorker } from './worker.js';
