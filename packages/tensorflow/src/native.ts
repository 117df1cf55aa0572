import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism, constants } from 'node:os';
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder, say } from '@logsnr/io/node';
import { findBackend, type KernelBackend, registerBackend, type Tensor, type TensorInfo } from '@tensorflow/tfjs-core';
import { bindingFault, bindingFile, OPERATIONS, QUIET, stock } from './binding.js';
import { checkCache, markUsed } from './cache.js';
import { type Found, findTensorflow, libraryFault } from './find.js';
import { thisMachine } from './machine.js';
import { registerGather, registerOperations } from './operations.js';
import { registerPhilox } from './philox.js';
import { chooseDevice, type Device, whyNotNative } from './plan.js';
import { registerGradients } from './portable.js';
import { installing, Unavailable } from './unavailable.js';

const require = createRequire(import.meta.url);

/** An output of a TensorFlow operation: the binding's number for it, its shape and its type's number. */
export interface TensorMetadata {
  id: number;
  shape: number[];
  dtype: number;
}

/** An attribute of a TensorFlow operation; `type` is one of the binding's TF_ATTR_ numbers. */
export interface OpAttr {
  name: string;
  type: number;
  value: boolean | number | object | string | number[];
}

/** The compiled binding: what `@tensorflow/tfjs-node-gpu` calls TensorFlow through. */
export interface Binding {
  createTensor(shape: number[], dtype: number, values: Float32Array | Int32Array | Uint8Array): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Float32Array | Int32Array | Uint8Array;
  executeOp(name: string, attrs: OpAttr[], inputs: number[], outputs: number): TensorMetadata[];
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(id: number): void;
  runSavedModel(id: number, inputs: number[], inputNames: string, outputNames: string): TensorMetadata[];
  isUsingGpuDevice(): boolean;
  getNumOfTensors(): number;
  readonly TF_FLOAT: number;
  readonly TF_INT32: number;
  readonly TF_INT64: number;
  readonly TF_BOOL: number;
  readonly TF_ATTR_STRING: number;
  readonly TF_ATTR_INT: number;
  readonly TF_ATTR_FLOAT: number;
  readonly TF_ATTR_BOOL: number;
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
  readonly TF_Version: string;
}

/** The backend of `@tensorflow/tfjs-node-gpu`, as far as this project calls it. */
export interface NativeBackend extends KernelBackend {
  binding: Binding;
  /** The binding's number of each tensor's data, or the values while they wait to be written there. */
  tensorMap: { get(dataId: object): { id: number; values: unknown }; has(dataId: object): boolean };
  getInputTensorIds(tensors: readonly TensorInfo[]): number[];
  /** The number of its type in TensorFlow's DataType. */
  typeAttributeFromTensor(tensor: TensorInfo): number;
  createOutputTensor(metadata: TensorMetadata): Tensor;
  executeSingleOutput(name: string, attrs: OpAttr[], inputs: readonly TensorInfo[]): Tensor;
}

/** The native backend in use: the library's release, where it computes, and where it was found. */
export interface NativeInfo {
  version: string;
  device: Device;
  threads: number;
  found: Found;
  /** The library with this package's own operations; null where they are not used. */
  operations: string | null;
}

/** What to load: by default what the environment variables and the machine say. */
export interface NativeOptions {
  /** A folder with TensorFlow's libraries and headers; overrides LOGSNR_TENSORFLOW. */
  folder?: string;
  /** Overrides LOGSNR_DEVICE. */
  device?: Device;
}

let loaded: NativeInfo | undefined;

const FINDING = 'LOGSNR_FINDING';

/** A binding that can be loaded, the library that it is linked to, and where to compute. */
interface Ready {
  binding: string;
  found: Found;
  device: Device;
}

/**
 * Loads the native library and registers it as the backend `tensorflow`, with its keyed-noise kernel. Does not install
 * or compile anything, and does not make it the current backend. Called again, it returns the same.
 * @throws Unavailable with the reason, in one line.
 */
export async function registerTensorflow(options: NativeOptions = {}): Promise<NativeInfo> {
  return loaded ?? load(await findReady(options));
}

/**
 * `registerTensorflow` for those who cannot wait for a promise, such as a module without top-level `await`. Another process
 * looks for the library and at its files, which takes some half a second.
 * @throws Unavailable as `registerTensorflow` does.
 */
export function registerTensorflowSync({ folder, device }: NativeOptions = {}): NativeInfo {
  if (loaded) return loaded;
  // That process must not start a next one where what NODE_OPTIONS preloads calls this.
  if (process.env[FINDING]) throw new Unavailable('this process only looks for TensorFlow');
  const extension = extname(import.meta.url);
  const bin = fileURLToPath(new URL(`bin${extension}`, import.meta.url));
  const loader = extension === '.ts' ? ['--import', import.meta.resolve('tsx')] : [];
  const { status, stdout, stderr, error } = spawnSync(process.execPath, [...loader, bin, 'find'], {
    encoding: 'utf8',
    env: {
      ...process.env,
      [FINDING]: '1',
      ...(folder && { LOGSNR_TENSORFLOW: folder }),
      ...(device && { LOGSNR_DEVICE: device }),
    },
  });
  if (error || status !== 0)
    throw new Unavailable(error?.message ?? stderr.trim().replace('no native TensorFlow: ', ''));
  return load(JSON.parse(stdout));
}

/** What `registerTensorflow` loads. @throws Unavailable where nothing can be loaded. */
export async function findReady(options: NativeOptions): Promise<Ready> {
  const machine = thisMachine();
  const reason = whyNotNative(machine);
  if (reason) throw new Unavailable(reason);
  const device = chooseDevice(options.device ?? process.env.LOGSNR_DEVICE, machine);
  const { found, notes } = await findTensorflow(device, options.folder);
  if (!found) throw new Unavailable(`TensorFlow is not installed (${notes.join('; ')})`, installing);
  checkCache(cacheFolder());
  const fault = (await libraryFault(found, false)) ?? (await bindingFault(found, false));
  if (fault) throw new Unavailable(fault, installing);
  const binding = bindingFile(found);
  await markUsed(dirname(binding));
  if (found.source === 'cache') await markUsed(dirname(found.folder));
  return { binding, found, device };
}

function load({ binding: file, found, device: wanted }: Ready): NativeInfo {
  if (loaded) return loaded;
  // TensorFlow reads these once, when it is loaded.
  process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';
  process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
  if (wanted === 'cpu' && found.device !== 'cpu') process.env.CUDA_VISIBLE_DEVICES ??= '-1';
  // Node 23 dropped these two, which tfjs-node-gpu 4.22 still calls.
  const util = require('node:util') as Record<string, unknown>;
  util.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
  util.isArray ??= Array.isArray;
  let binding: Binding;
  try {
    handOver(join(dirname(file), QUIET));
    binding = open(file) as Binding;
  } catch (error) {
    throw new Unavailable(`the binding cannot be loaded: ${(error as Error).message.split('\n')[0]}`);
  }
  registerGradients();
  const { NodeJSKernelBackend } = require(join(stock, 'backend.cjs'));
  const device = binding.isUsingGpuDevice() ? 'cuda' : 'cpu';
  // The name decides whether dilated 3-D convolutions are accepted, which only a GPU can do.
  const name = `@tensorflow/tfjs-node${device === 'cuda' ? '-gpu' : ''}`;
  if (!findBackend('tensorflow')) registerBackend('tensorflow', () => new NodeJSKernelBackend(binding, name), 3);
  registerPhilox();
  registerGather();
  // They compute on the processor; on a GPU the library's own operations are nearer.
  const beside = join(dirname(file), OPERATIONS);
  const operations = device === 'cpu' && existsSync(beside) ? beside : null;
  if (operations) {
    open(operations);
    registerOperations();
  }
  const threads = Number(process.env.TF_NUM_INTRAOP_THREADS) || availableParallelism();
  loaded = { version: binding.TF_Version, device, threads, found, operations };
  return loaded;
}

/** What TensorFlow, and this package's operations, read from the environment. */
const setting = /^(TF|CUDA|XLA)_/;

/**
 * Loads TensorFlow's library with the settings of this thread: a worker's environment is a copy that C code does
 * not see. The library reads them once, so those of threads that come later are said to have no effect.
 */
function handOver(quiet: string): void {
  const { load } = open(quiet) as { load(settings: readonly string[], quiet: boolean): string[] };
  const settings = Object.entries(process.env).flatMap(([name, value = '']) =>
    setting.test(name) ? [name, value] : [],
  );
  const late = load(settings, process.env.TF_CPP_MIN_LOG_LEVEL !== '0');
  if (late.length > 0)
    say(
      `TensorFlow was loaded by another thread before, with other values of ${late.join(', ')}; those of this thread have no effect`,
    );
}

// Of glibc and musl; Node does not name it.
const RTLD_NODELETE = 0x1000;

/**
 * What the library `file` exports. It stays loaded until the process ends. Else Node unloads it when the last thread that
 * loaded it ends, below TensorFlow's own threads, which crashed a process that used it in a worker thread alone.
 */
function open(file: string): unknown {
  const module = { exports: {} };
  process.dlopen(module, file, constants.dlopen.RTLD_LAZY | RTLD_NODELETE);
  return module.exports;
}

/** The native backend. Throws where it is not registered. */
export function nativeBackend(): NativeBackend {
  const backend = findBackend('tensorflow') as NativeBackend | null;
  if (!backend) throw new Unavailable('the backend "tensorflow" is not registered: call registerTensorflow() first');
  return backend;
}
