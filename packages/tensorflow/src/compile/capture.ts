import { mapTensors } from '@logsnr/core';
import { engine, type Tensor, tidy, util, type Variable } from '@tensorflow/tfjs-core';
import { type NativeBackend, nativeBackend } from '../native.js';
import { cheaper } from './precision.js';
import { shapeOf } from './proto.js';
import { record } from './record.js';
import { newRecording, type Recording, type Source } from './recording.js';
import { Slot, signature, type Tree } from './tree.js';

/** How a captured function computes. */
export interface Compute {
  /** `bfloat16` runs convolutions and matrix products in bfloat16 on float32 values. Default: `float32`. */
  precision?: 'float32' | 'bfloat16';
}

/** The graph of one call of a function, and where its arguments and results stand in it. */
export interface Captured {
  recording: Recording;
  /** The places of the arguments' tensors, in order. */
  inputs: string[];
  /** The places of the result's tensors, in order. */
  outputs: Source[];
  /** The result with each tensor replaced by a `Slot`, its number among `outputs`. */
  result: Tree;
  /** The variables that the function closes over, each with the data it had. */
  variables: (readonly [Variable, data: object])[];
}

/** Whether no variable that a function closes over was assigned since. */
export const isCurrent = ({ variables }: Pick<Captured, 'variables'>): boolean =>
  variables.every(([variable, data]) => variable.dataId === data);

/** Runs `fn` once on copies of its arguments, recording its graph. */
export function capture<A extends unknown[]>(fn: (...args: A) => unknown, args: A, { precision }: Compute): Captured {
  const backend = nativeBackend();
  const recording = newRecording();
  const inputs: string[] = [];
  const outputs: Source[] = [];
  let result: Tree;
  const run = () => {
    // A copy of its own for each argument: tensors may share one buffer, and then one number of the binding's.
    const traced = mapTensors(args, (tensor) => {
      const copy = ownCopy(backend, tensor);
      const [id] = backend.getInputTensorIds([copy]) as [number];
      const name = recording.add('Placeholder', [], {
        dtype: { type: typeOf(backend, tensor) },
        shape: { shape: shapeOf(tensor.shape) },
      });
      recording.sources.set(id, `${name}:0`);
      inputs.push(`${name}:0`);
      return copy;
    }) as A;
    record(backend, recording, () => {
      const returned = fn(...traced);
      if (util.isPromise(returned)) {
        (returned as Promise<unknown>).catch(() => {}); // what it goes on to do, without its tensors, is of no interest
        throw new TypeError(
          'compile: the function is asynchronous (it returns a promise); only what runs before its first await could be recorded. Await outside it.',
        );
      }
      signature(returned);
      result = mapTensors(returned, (tensor) => {
        // A node of its own, so that a tensor from outside may be returned and a place is fetched once.
        const [id] = backend.getInputTensorIds([ownCopy(backend, tensor)]) as [number];
        outputs.push(recording.sources.get(id) as Source);
        return new Slot(outputs.length - 1);
      });
    });
  };
  try {
    tidy(run);
  } catch (error) {
    for (const { id } of recording.lifted) backend.binding.deleteTensor(id);
    throw error;
  }
  if (precision === 'bfloat16') cheaper(recording);
  const variables = Object.values(engine().registeredVariables).flatMap((variable) => {
    const { dataId } = variable;
    if (!backend.tensorMap.has(dataId)) return [];
    const { id } = backend.tensorMap.get(dataId);
    const closedOver = recording.sources.has(id) || recording.filters.has(id);
    return closedOver ? [[variable, dataId] as const] : [];
  });
  return { recording, inputs, outputs, result, variables };
}

function ownCopy(backend: NativeBackend, tensor: Tensor): Tensor {
  const T = { name: 'T', type: backend.binding.TF_ATTR_TYPE, value: typeOf(backend, tensor) };
  return backend.executeSingleOutput('Identity', [T], [tensor]);
}

/** The number of a tensor's type in TensorFlow's DataType. */
export function typeOf(backend: NativeBackend, tensor: Tensor): number {
  if (tensor.dtype === 'string') throw new TypeError('compile: a tensor of strings; a graph holds numbers.');
  return backend.typeAttributeFromTensor(tensor);
}
