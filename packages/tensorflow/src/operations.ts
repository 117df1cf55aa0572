import { ADAM, type AdamAttrs, GROUP_NORM, GROUP_NORM_GRADIENT, type GroupNormAttrs } from '@logsnr/nn';
import { getKernel, registerKernel, type TensorInfo } from '@tensorflow/tfjs-core';
import type { Binding, NativeBackend, OpAttr } from './native.js';

const inputs = ['x', 'gamma', 'beta', 'bias', 'scale', 'shift'];

/** Registers nn's kernels that this package's own operations of the same names compute, for the native backend. */
export function registerOperations(): void {
  const groupNorm = ({ groups, silu }: GroupNormAttrs, binding: Binding): OpAttr[] => [
    { name: 'groups', type: binding.TF_ATTR_INT, value: groups },
    { name: 'silu', type: binding.TF_ATTR_BOOL, value: silu },
  ];
  register(GROUP_NORM, inputs, 3, groupNorm);
  register(GROUP_NORM_GRADIENT, ['dy', ...inputs, 'mean', 'rstd'], 6, groupNorm);
  // 1 − β apart: as a difference of float32 it would lose digits.
  register(ADAM, ['p', 'g', 'm', 'v', 'rate', 'epsilon', 'keep'], 3, ({ beta1, beta2 }: AdamAttrs, binding) =>
    Object.entries({ beta1, beta2, rest1: 1 - beta1, rest2: 1 - beta2 }).map(([name, value]) => ({
      name,
      type: binding.TF_ATTR_FLOAT,
      value,
    })),
  );
}

function register<A>(
  operation: string,
  names: readonly string[],
  outputs: number,
  attributes: (attrs: A, binding: Binding) => OpAttr[],
): void {
  if (getKernel(operation, 'tensorflow')) return;
  registerKernel({
    kernelName: operation,
    backendName: 'tensorflow',
    kernelFunc({ inputs, attrs, backend }) {
      const native = backend as NativeBackend;
      const ids = native.getInputTensorIds(names.map((name) => inputs[name] as TensorInfo));
      return native.binding
        .executeOp(operation, attributes(attrs as never, native.binding), ids, outputs)
        .map((metadata) => native.createOutputTensor(metadata));
    },
  });
}
