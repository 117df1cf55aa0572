export {
  bytesOf,
  type Dtype,
  dataStartOf,
  type Entry,
  frame,
  type Header,
  type Heading,
  type Metadata,
  parseHeader,
} from './header.js';
export { decodeSafetensors, encodeSafetensors, type SafetensorsFile, type Stored } from './safetensors.js';
export { type Values, valuesOf } from './values.js';
