export { type BackendInfo, type BackendOptions, backendInfo, useBackend } from './backend.js';
export { type Compiled, compile } from './compile/compile.js';
export { type CompiledStep, compileStep, type PureStep, type State } from './compile/compile-step.js';
export type { CompileOptions } from './compile/graphs.js';
export { savedModelOf } from './compile/proto.js';
export { type Graph, type Runtime, savedModelRuntime } from './compile/runtime.js';
export { type InstallOptions, install } from './install.js';
export {
  type Binding,
  type NativeBackend,
  type NativeInfo,
  type NativeOptions,
  nativeBackend,
  type OpAttr,
  registerTensorflow,
  type TensorMetadata,
} from './native.js';
export type { BackendName, Device } from './plan.js';
export { Unavailable } from './unavailable.js';
