import {
  ADAM,
  ATTENTION,
  ATTENTION_GRADIENT,
  CONV_3X3,
  CONV_3X3_FILTER_GRADIENT,
  CONV_3X3_INPUT_GRADIENT,
  GROUP_NORM,
  GROUP_NORM_GRADIENT,
  LINEAR,
  LINEAR_INPUT_GRADIENT,
  LINEAR_WEIGHT_GRADIENT,
} from '@logsnr/nn';
import * as tf from '@tensorflow/tfjs-core';

type Kernel = Awaited<ReturnType<typeof tf.profile>>['kernels'][number];

const product = (shape: readonly number[] = []): number => shape.reduce((all, size) => all * size, 1);

/**
 * Floating-point operations of the convolutions and matrix products that `work` runs, two for each multiply-add of the
 * direct sum. Winograd's convolutions do fewer.
 * @throws RangeError on a kernel of this project's own that is not known here.
 */
export async function countFlops(work: () => void): Promise<number> {
  const { kernels } = await tf.profile(() => {
    work();
    return [];
  });
  return kernels.reduce((sum, kernel) => sum + flopsOf(kernel), 0);
}

function flopsOf({ name, inputShapes, outputShapes }: Kernel): number {
  const [a, b] = inputShapes as [number[]?, number[]?];
  const out = outputShapes[0] as number[] | undefined;
  switch (name) {
    case 'Conv2D':
    case 'FusedConv2D':
    case CONV_3X3:
      return 2 * product(out) * product(b?.slice(0, 3));
    case 'Conv2DBackpropInput':
    case CONV_3X3_INPUT_GRADIENT:
      return 2 * product(a) * product(b?.slice(0, 3));
    case 'Conv2DBackpropFilter':
    case CONV_3X3_FILTER_GRADIENT:
      return 2 * product(b) * product(out?.slice(0, 3));
    case 'BatchMatMul':
    case '_FusedMatMul':
    case LINEAR:
    case LINEAR_INPUT_GRADIENT:
    case LINEAR_WEIGHT_GRADIENT: {
      // Of [B, m, k] and [B, k, n], whichever is transposed: sizes B m k · B k n / B m n = B k².
      const inner = Math.sqrt((product(a) * product(b)) / (product(out) * product(out?.slice(0, -2))));
      return 2 * product(out) * inner;
    }
    case ATTENTION:
      // Q Kᵀ and P V: 2 n t² c each.
      return 4 * product(out) * (a?.[1] ?? 0);
    case ATTENTION_GRADIENT:
      // dP, dQ, dK and dV, without the scores that are made again.
      return 8 * product(a) * (a?.[1] ?? 0);
    case GROUP_NORM:
    case GROUP_NORM_GRADIENT:
    case ADAM:
      return 0;
    default:
      if (name.startsWith('Logsnr')) throw new RangeError(`the operations of ${name} are not counted in flops.ts.`);
      return 0;
  }
}
