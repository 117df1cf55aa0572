export { DamagedFile } from './damaged-file.js';
export type { Dtype, Entry, Heading, Metadata } from './header.js';
export { decodeNpy, encodeNpy } from './npy.js';
export { decodeSafetensors, encodeSafetensors, type SafetensorsFile, type Stored } from './safetensors.js';
export type { Values } from './values.js';
