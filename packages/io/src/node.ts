export {
  besideOf,
  explained,
  type Fingerprint,
  fingerprintOf,
  piecesOf,
  readText,
  replaceFile,
  syncFolder,
  writeSynced,
} from './durable.js';
export { type Lock, type LockOptions, takeLock } from './lock.js';
