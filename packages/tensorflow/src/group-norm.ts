import { GROUP_NORM, GROUP_NORM_GRADIENT, type GroupNormAttrs } from '@logsnr/core';
import { getKernel, type KernelFunc, registerKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { NativeBackend } from './native.js';

const inputs = ['x', 'gamma', 'beta', 'bias', 'scale', 'shift'];

/** Registers core's group norm kernels for the native backend: this package's own operations of the same names. */
export function registerGroupNorm(): void {
  register(GROUP_NORM, inputs, 3);
  register(GROUP_NORM_GRADIENT, ['dy', ...inputs, 'mean', 'rstd'], 6);
}

function register(operation: string, names: readonly string[], outputs: number): void {
  if (getKernel(operation, 'tensorflow')) return;
  const kernelFunc: KernelFunc = ({ inputs, attrs, backend }) => {
    const { groups, silu } = attrs as unknown as GroupNormAttrs;
    const native = backend as NativeBackend;
    const { binding } = native;
    const results = binding.executeOp(
      operation,
      [
        { name: 'groups', type: binding.TF_ATTR_INT, value: groups },
        { name: 'silu', type: binding.TF_ATTR_BOOL, value: silu },
      ],
      native.getInputTensorIds(names.map((name) => inputs[name] as TensorInfo)),
      outputs,
    );
    return results.map((metadata) => native.createOutputTensor(metadata));
  };
  registerKernel({ kernelName: operation, backendName: 'tensorflow', kernelFunc });
}
