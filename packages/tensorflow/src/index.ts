export { type BackendInfo, type BackendOptions, backendInfo, useBackend } from './backend.js';
export { addCommands } from './commands.js';
export { type Compiled, compile } from './compile/compile.js';
export type { CompileOptions } from './compile/graphs.js';
export { type Graph, type GraphLoader, savedModels } from './compile/loader.js';
export { native } from './compile/native.js';
export { savedModelOf } from './compile/proto.js';
export { type GraphSession, session } from './compile/session.js';
export { type InstallOptions, install } from './install.js';
export { linearAlgebra } from './linear-algebra.js';
export {
  type Binding,
  type NativeBackend,
  type NativeInfo,
  type NativeOptions,
  nativeBackend,
  type OpAttr,
  registerTensorflow,
  registerTensorflowSync,
  type TensorMetadata,
} from './native.js';
export type { BackendName, Device } from './plan.js';
export { Unavailable } from './unavailable.js';
