/** A tensor as a file has it. */
export interface Named {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * Where one parameter of ours stands in a peer's file. The values of `parts`, one after the other, have the shape `axes`.
 * With its axes in this order they are ours.
 */
export interface Piece {
  /** Our path and shape. */
  readonly path: string;
  readonly shape: readonly number[];
  readonly parts: readonly Named[];
  readonly axes: readonly number[];
  readonly order: readonly number[];
  /** Names under which the peer has all of `parts` again. */
  readonly copies: readonly (readonly string[])[];
}

/** A tensor that a peer's file has and that our network computes. */
export interface Fixed extends Named {
  values(): Float32Array;
  /** Whether the file may lack it. */
  readonly optional: boolean;
}

/** Where all parameters of a network stand in a peer's file. */
export interface Mapping {
  readonly pieces: readonly Piece[];
  readonly fixed: readonly Fixed[];
  /** A name as later files have it, of a name that earlier ones have. */
  renamed?(name: string): string;
}

/** Where a layer of ours stands in a peer's file. */
export interface Place {
  /** The layer's name there, or the names of the layers that are one layer here, such as those of q, k and v. */
  readonly name: string | readonly string[];
  /** How many axes of size 1 its matrix has at the end: 1 or 2 for a convolution over single pixels. */
  readonly ones?: number | undefined;
  /** The channels are (head, q|k|v, d) there, of so many heads. Ours are (q|k|v, head, d). */
  readonly heads?: number | undefined;
  /** Where the layer stands again. */
  readonly copies?: readonly string[] | undefined;
  /** The shape of the weight there, and where our axes are in it, where it is no layer of a common kind. */
  readonly weight?: { readonly shape: readonly number[]; readonly order: readonly number[] } | undefined;
}

const LEAVES: Readonly<Record<string, string>> = {
  ...{ kernel: 'weight', bias: 'bias', gamma: 'weight', beta: 'bias', table: 'weight' },
};

/** The mapping of a network's parameters, `shapes`, by the place of each of its layers. */
export function mappingOf(
  shapes: Readonly<Record<string, readonly number[]>>,
  placeOf: (layer: string) => Place | undefined,
): readonly Piece[] {
  return Object.entries(shapes).map(([path, shape]) => {
    const [, layer = '', leaf = ''] = /^(.*)\.(\w+)$/.exec(path) ?? [];
    const place = placeOf(layer);
    // A mistake of this package's, not of its user's.
    if (!place) throw new Error(`no place is known for "${path}".`);
    return pieceOf(path, shape, leaf, place);
  });
}

function pieceOf(path: string, shape: readonly number[], leaf: string, place: Place): Piece {
  const names = [place.name].flat();
  const named = (layer: string) => `${layer}${leaf in LEAVES ? `.${LEAVES[leaf]}` : ''}`;
  const isMatrix = leaf === 'kernel' || (place.weight && leaf !== 'bias');
  const { whole, axes, order } = isMatrix ? kernelOf(shape, place) : vectorOf(shape, place);
  const [first = 1, ...rest] = whole;
  return {
    ...{ path, shape, axes, order },
    parts: names.map((name) => ({ name: named(name), shape: [first / names.length, ...rest] })),
    copies: (place.copies ?? []).map((copy) => [named(copy)]),
  };
}

interface Layout {
  /** The shape there, of all parts together. */
  readonly whole: readonly number[];
  readonly axes: readonly number[];
  readonly order: readonly number[];
}

/** Of a kernel: a convolution's, HWIO of OIHW, or a matrix, IO of OI. */
function kernelOf(shape: readonly number[], { weight, heads, ones = 0 }: Place): Layout {
  if (weight) return { whole: weight.shape, axes: weight.shape, order: weight.order };
  if (shape.length === 4) {
    const [height = 1, width = 1, from = 1, to = 1] = shape;
    const whole = [to, from, height, width];
    return { whole, axes: whole, order: [2, 3, 1, 0] };
  }
  const [from = 1, to = 1] = shape;
  const whole = [to, from, ...Array.from({ length: ones }, () => 1)];
  if (heads === undefined) return { whole, axes: [to, from], order: [1, 0] };
  return { whole, axes: [heads, 3, to / (3 * heads), from], order: [3, 1, 0, 2] };
}

/** Of a bias, or of anything else that stands there as it does here. */
function vectorOf(shape: readonly number[], { heads }: Place): Layout {
  const [to = 1] = shape;
  if (heads === undefined || shape.length !== 1)
    return { whole: shape, axes: shape, order: shape.map((_, axis) => axis) };
  return { whole: shape, axes: [heads, 3, to / (3 * heads)], order: [1, 0, 2] };
}
