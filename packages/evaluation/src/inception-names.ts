/** How many convolutions Inception has. */
const CONVOLUTIONS = 94;

const STEM = ['Conv2d_1a_3x3', 'Conv2d_2a_3x3', 'Conv2d_2b_3x3', 'Conv2d_3b_1x1', 'Conv2d_4a_3x3'];
const numbered = (name: string, ...ends: (string | number)[]): string[] => ends.map((end) => `${name}_${end}`);
const [DOUBLE, POOL] = [numbered('branch3x3dbl', 1, 2, 3), 'branch_pool'];
const WIDE = ['branch1x1', ...numbered('branch5x5', 1, 2), ...DOUBLE, POOL];
const LONG = ['branch1x1', ...numbered('branch7x7', 1, 2, 3), ...numbered('branch7x7dbl', 1, 2, 3, 4, 5), POOL];
const LAST = [
  'branch1x1',
  ...numbered('branch3x3', 1, '2a', '2b'),
  ...numbered('branch3x3dbl', 1, 2, '3a', '3b'),
  POOL,
];
const BLOCKS: readonly (readonly [ends: string, branches: readonly string[]])[] = [
  ['5b 5c 5d', WIDE],
  ['6a', ['branch3x3', ...DOUBLE]],
  ['6b 6c 6d 6e', LONG],
  ['7a', [...numbered('branch3x3', 1, 2), ...numbered('branch7x7x3', 1, 2, 3, 4)]],
  ['7b 7c', LAST],
];

/** The tensors that a file has of one convolution and its batch norm, by their names there. */
export interface LayerNames {
  /** [to, from, rows, columns]. */
  readonly weight: string;
  /** γ, where the file has it; else it is 1. The four of batch norm are [to]. */
  readonly gamma?: string;
  readonly beta: string;
  readonly mean: string;
  readonly variance: string;
}

/** The layers in a state dict of torchvision's and pytorch-fid's networks, in the order of `inception` of `@logsnr/networks`. */
export const stateDictNames: readonly LayerNames[] = [
  ...STEM,
  ...BLOCKS.flatMap(([ends, branches]) =>
    ends.split(' ').flatMap((end) => branches.map((branch) => `Mixed_${end}.${branch}`)),
  ),
].map((name) => ({
  weight: `${name}.conv.weight`,
  gamma: `${name}.bn.weight`,
  beta: `${name}.bn.bias`,
  mean: `${name}.bn.running_mean`,
  variance: `${name}.bn.running_var`,
}));

/** The classifier's map in such a state dict, [1008, 2048]. */
export const STATE_DICT_LOGITS = 'fc.weight';

/** The layers in a TorchScript archive of the network, whose storages are numbered: four of each convolution, in the same order. */
export const archiveNames: readonly LayerNames[] = Array.from({ length: CONVOLUTIONS }, (_, i) => ({
  weight: `${4 * i}`,
  beta: `${4 * i + 1}`,
  mean: `${4 * i + 2}`,
  variance: `${4 * i + 3}`,
}));
