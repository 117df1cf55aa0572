export { type SweepPictureOptions, sweepChart, sweepPicture } from './sweep-pictures.js';
