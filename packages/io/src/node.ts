export { type CommandOptions, command, type Finished, lastLines, placed } from './command.js';
export { type Crc, crcOf } from './crc.js';
export { besideOf, type Pieces, piecesOf, replaceFile, syncFolder, writeSynced } from './durable.js';
export { faultOf } from './fault.js';
export {
  checkSha256,
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
export { npzPieces, type OpenNpz, withNpz } from './npz-file.js';
export type { OpenTensors } from './open-tensors.js';
export { withPytorch } from './pytorch-file.js';
export { pytorchPieces } from './pytorch-pieces.js';
export {
  cacheFolder,
  isolated,
  kept,
  type PinnedPackage,
  pip,
  pythonProgram,
  requirements,
  unzip,
  withPackage,
} from './registry.js';
export { type OpenSafetensors, safetensorsPieces, withSafetensors } from './safetensors-file.js';
export { step } from './step.js';
export { withTensors } from './tensors-file.js';
export { say, type TextStream, tolerant } from './text-stream.js';
export { openZip, type StoredZip } from './zip.js';
