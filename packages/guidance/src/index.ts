export { type ClassifierFreeOptions, classifierFree, fromScale, type Weight } from './classifier-free.js';
