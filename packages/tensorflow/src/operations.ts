import {
  ADAM,
  type AdamAttrs,
  ATTENTION,
  ATTENTION_GRADIENT,
  type AttentionAttrs,
  CONV_3X3,
  CONV_3X3_FILTER_GRADIENT,
  CONV_3X3_INPUT_GRADIENT,
  GROUP_NORM,
  GROUP_NORM_GRADIENT,
  type GroupNormAttrs,
  LINEAR,
  LINEAR_INPUT_GRADIENT,
  LINEAR_WEIGHT_GRADIENT,
} from '@logsnr/nn';
import {
  getKernel,
  type KernelFunc,
  registerKernel,
  scalar,
  type TensorInfo,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import type { Binding, NativeBackend, OpAttr } from './native.js';

const inputs = ['x', 'gamma', 'beta', 'bias', 'scale', 'shift'];

/**
 * The filters of a 3×3 kernel as {@link CONV_3X3_TRANSFORMED} takes them, for a kernel that does not change. Input kernel
 * [3, 3, c, o], c and o multiples of 16. Attribute `turned`: of the kernel turned by 180° with c and o exchanged, for the
 * gradient by the image. Output: a vector, in an order that is this machine's own.
 */
export const CONV_3X3_FILTERS = 'LogsnrConv3x3Filters';

/** nn's `CONV_3X3` by filters. Inputs x, filters, bias and residual. Attribute `to`: the channels of y. Output y. */
export const CONV_3X3_TRANSFORMED = 'LogsnrConv3x3Transformed';

/** Registers this package's own operations for the native backend: nn's kernels of the same names, and two for graphs. */
export function registerOperations(): void {
  const groupNorm = ({ groups, silu, epsilon }: GroupNormAttrs, binding: Binding): OpAttr[] => [
    { name: 'groups', type: binding.TF_ATTR_INT, value: groups },
    { name: 'silu', type: binding.TF_ATTR_BOOL, value: silu },
    { name: 'epsilon', type: binding.TF_ATTR_FLOAT, value: epsilon },
  ];
  register(GROUP_NORM, inputs, 3, groupNorm);
  register(GROUP_NORM_GRADIENT, ['dy', ...inputs, 'mean', 'rstd'], 6, groupNorm);
  register(CONV_3X3, ['x', 'kernel', 'bias', 'residual'], 1, () => []);
  register(CONV_3X3_FILTERS, ['kernel'], 1, ({ turned }: { turned: boolean }, binding) => [
    { name: 'turned', type: binding.TF_ATTR_BOOL, value: turned },
  ]);
  register(CONV_3X3_TRANSFORMED, ['x', 'filters', 'bias', 'residual'], 1, ({ to }: { to: number }, binding) => [
    { name: 'to', type: binding.TF_ATTR_INT, value: to },
  ]);
  register(CONV_3X3_INPUT_GRADIENT, ['dy', 'kernel'], 1, () => []);
  register(LINEAR, ['x', 'weight', 'bias', 'residual'], 1, () => []);
  register(LINEAR_INPUT_GRADIENT, ['dy', 'weight'], 1, () => []);
  register(LINEAR_WEIGHT_GRADIENT, ['x', 'dy'], 1, () => []);
  register(CONV_3X3_FILTER_GRADIENT, ['x', 'dy'], 1, () => []);
  const attention = ({ heads }: AttentionAttrs, binding: Binding): OpAttr[] => [
    { name: 'heads', type: binding.TF_ATTR_INT, value: heads },
  ];
  register(ATTENTION, ['qkv'], 1, attention);
  register(ATTENTION_GRADIENT, ['dy', 'qkv'], 1, attention);
  // 1 − β apart: as a difference of float32 it would lose digits.
  register(ADAM, ['p', 'g', 'm', 'v', 'rate', 'epsilon', 'keep'], 3, ({ beta1, beta2 }: AdamAttrs, binding) =>
    Object.entries({ beta1, beta2, rest1: 1 - beta1, rest2: 1 - beta2 }).map(([name, value]) => ({
      name,
      type: binding.TF_ATTR_FLOAT,
      value,
    })),
  );
}

/**
 * Registers a gather that reads no tensor, so that it can be compiled. TensorFlow.js's own reads the indices to check them
 * before each call. Here TensorFlow checks them: on a processor it throws at an index out of range, on a GPU it gives 0.
 */
export function registerGather(): void {
  const own = getKernel('GatherV2', 'tensorflow')?.kernelFunc as KernelFunc;
  unregisterKernel('GatherV2', 'tensorflow');
  registerKernel({
    kernelName: 'GatherV2',
    backendName: 'tensorflow',
    kernelFunc(given) {
      const native = given.backend as NativeBackend;
      const { TF_ATTR_INT, TF_ATTR_TYPE, TF_INT32 } = native.binding;
      const { x, indices } = given.inputs as { x: TensorInfo; indices: TensorInfo };
      const { axis, batchDims } = given.attrs as unknown as { axis: number; batchDims: number };
      if (indices.dtype !== 'int32') return own(given);
      const place = scalar(axis, 'int32');
      try {
        const attrs = [
          { name: 'batch_dims', type: TF_ATTR_INT, value: batchDims },
          { name: 'Tparams', type: TF_ATTR_TYPE, value: native.typeAttributeFromTensor(x) },
          { name: 'Tindices', type: TF_ATTR_TYPE, value: TF_INT32 },
          { name: 'Taxis', type: TF_ATTR_TYPE, value: TF_INT32 },
        ];
        return native.executeSingleOutput('GatherV2', attrs, [x, indices, place]);
      } finally {
        place.dispose();
      }
    },
  });
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
      const given = attributes(attrs as never, native.binding);
      // The binding would cut such a number short.
      for (const { name, type, value } of given)
        if (type === native.binding.TF_ATTR_INT && !Number.isSafeInteger(value))
          throw new RangeError(`${operation}: ${name} is ${value}; it must be an integer.`);
      const ids = native.getInputTensorIds(names.map((name) => inputs[name] as TensorInfo));
      const made = native.binding
        .executeOp(operation, given, ids, outputs)
        .map((metadata) => native.createOutputTensor(metadata));
      return outputs === 1 ? (made[0] as TensorInfo) : made;
    },
  });
}
