import { CONV_3X3, CONV_3X3_INPUT_GRADIENT } from '@logsnr/nn';
import { getKernel } from '@tensorflow/tfjs-core';
import type { Binding, OpAttr, TensorMetadata } from '../native.js';
import { CONV_3X3_FILTERS, CONV_3X3_TRANSFORMED } from '../operations.js';
import type { Attr } from './proto.js';
import { changes, constant, lift, type Recording, type Source } from './recording.js';

/**
 * Filters take four times the memory of their kernel. So images of more tiles of 4×4 pixels than this keep the kernel: there
 * transforming it at each call is a small part of the work. And so do kernels of very many weights where tiles are few, whose filters
 * fit no cache: 512 × 512 channels at one tile take 2.03 times as long as the library's convolution, and 256 × 256 0.93 (`pnpm
 * bench:convolution --sizes`, one thread). The bound is on the side of memory: at 2 to 16 tiles 512 × 512 take 0.43 to 0.72.
 */
const MOST_TILES = 1024;
const MOST_WEIGHTS = (tiles: number) => 65_536 * Math.max(1, tiles / 16);

/** Where images and kernel stand among an operation's inputs, and whether it convolves with the kernel turned by 180°. */
const CONVOLUTIONS: Readonly<Record<string, { images: number; kernel: number; turned: boolean }>> = {
  [CONV_3X3]: { images: 0, kernel: 1, turned: false },
  [CONV_3X3_INPUT_GRADIENT]: { images: 0, kernel: 1, turned: true },
  Conv2D: { images: 0, kernel: 1, turned: false },
  Conv2DBackpropInput: { images: 2, kernel: 1, turned: true },
};

/** An operation of a graph. A number among its inputs is a tensor's. */
export interface Planned {
  readonly op: string;
  readonly input: readonly (number | Source)[];
  readonly attr: Record<string, Attr>;
}

/**
 * What stands in the graph for a 3×3 convolution by a kernel that no replay changes, such as that of a model whose weights the
 * function closes over: the convolution by its filters, which are transformed once, now. Undefined for every other call.
 */
export function frozen(
  binding: Binding,
  recording: Recording,
  name: string,
  attrs: readonly OpAttr[],
  inputs: readonly number[],
): Planned | undefined {
  const place = CONVOLUTIONS[name];
  if (!place || !getKernel(CONV_3X3, 'tensorflow')) return undefined;
  const [images, kernel] = [inputs[place.images] as number, inputs[place.kernel] as number];
  const [n = 0, h = 0, w = 0] = shapeIn(binding, images);
  const [rows, columns, from = 0, to = 0] = shapeIn(binding, kernel);
  const tiles = n * Math.ceil(h / 4) * Math.ceil(w / 4);
  const own = name.startsWith('Logsnr');
  const suits = own || (isPlain(attrs) && n * h * w >= 6 * tiles && from % 16 === 0 && to % 16 === 0);
  if (rows !== 3 || columns !== 3 || !suits || tiles > MOST_TILES || from * to > MOST_WEIGHTS(tiles)) return undefined;
  if (changes(recording, recording.sources.get(kernel))) return undefined;
  const nothing = () => constant(recording, [0], binding.TF_FLOAT, new Uint8Array());
  const added = own && !place.turned ? inputs.slice(2) : [nothing(), nothing()];
  return {
    op: CONV_3X3_TRANSFORMED,
    input: [images, filtersOf(binding, recording, kernel, place.turned), ...added],
    attr: { to: { i: place.turned ? from : to } },
  };
}

/** The shape of a tensor by its number, which the binding tells only of results. */
export function shapeIn(binding: Binding, id: number): number[] {
  const [copy] = binding.executeOp('Identity', [], [id], 1) as [TensorMetadata];
  binding.deleteTensor(copy.id);
  return copy.shape;
}

function filtersOf(binding: Binding, recording: Recording, kernel: number, turned: boolean): Source {
  const which = turned ? 'turned' : 'plain';
  const found = recording.filters.get(kernel) ?? {};
  if (found[which] !== undefined) return found[which];
  const attrs = [{ name: 'turned', type: binding.TF_ATTR_BOOL, value: turned }];
  const [filters] = binding.executeOp(CONV_3X3_FILTERS, attrs, [kernel], 1) as [TensorMetadata];
  const source = lift(recording, filters);
  recording.filters.set(kernel, { ...found, [which]: source });
  return source;
}

/** Whether a convolution has stride 1, no dilation, zeros around and its channels last. */
function isPlain(attrs: readonly OpAttr[]): boolean {
  const of = Object.fromEntries(attrs.map(({ name, value }) => [name, value]));
  const ones = [of.strides, of.dilations].flat().every((size) => size === 1);
  return ones && of.padding === 'SAME' && of.data_format === 'NHWC';
}
