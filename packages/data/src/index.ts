export { batch, toUnit } from './batch.js';
export { type GridOptions, type ImageNumbers, imageGrid, type RgbImage } from './grid.js';
export { type Idx, parseIdx } from './idx.js';
export { type ImageSet, padTo, type Selection, subset } from './image-set.js';
export { type MnistOptions, mnist } from './mnist.js';
export { shuffledIndices } from './order.js';
