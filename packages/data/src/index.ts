export { AUGMENT_LABELS, type AugmentOptions, augment, type Change, flips } from './augment.js';
export { type BatchArrays, batch, batchArrays, batchTensors, toUnit } from './batch.js';
export { type Idx, parseIdx } from './idx.js';
export { type ImageSet, padTo, type Selection, subset } from './image-set.js';
export { shuffledIndices } from './order.js';
export { type Prefetched, prefetch } from './prefetch.js';
