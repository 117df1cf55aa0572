export { AUGMENT_LABELS, type AugmentOptions, augment, type Change, flips } from './augment.js';
export { type BatchArrays, batch, batchArrays, batchTensors, toUnit } from './batch.js';
export { datasetOf, type ImageDataset, readBatch, type ShuffledBatchesOptions, shuffledBatches } from './dataset.js';
export { type Idx, parseIdx } from './idx.js';
export { type ImageSet, type Labels, padTo, type Selection, subset } from './image-set.js';
export { shuffledIndices } from './order.js';
export { type Prefetched, prefetch } from './prefetch.js';
