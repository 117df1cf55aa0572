export { besideOf, type Pieces, piecesOf, replaceFile, syncFolder, writeSynced } from './durable.js';
export { faultOf } from './fault.js';
export {
  codeOf,
  explained,
  type Fingerprint,
  fingerprintOf,
  fingerprintSchema,
  makeFolder,
  type Reading,
  readText,
  withFile,
} from './files.js';
export { type Lock, type LockOptions, takeLock } from './lock.js';
export { type OpenSafetensors, safetensorsPieces, withSafetensors } from './safetensors-file.js';
export { say, type TextStream, tolerant } from './text-stream.js';
