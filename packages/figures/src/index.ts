export type { RgbImage } from './canvas.js';
export { type CaptionedGrid, type CaptionedRow, captionedGrid } from './captioned-grid.js';
export type { Axis, LineChart, Reference, Series } from './chart.js';
export { colorMap } from './color-map.js';
export { type DensityMaps, densityMaps } from './density-maps.js';
export type { DensityPanel } from './density-panel.js';
export { type GridOptions, type ImageNumbers, imageGrid } from './image-grid.js';
export { lineChart } from './line-chart.js';
export { encodePng, writePng } from './png.js';
