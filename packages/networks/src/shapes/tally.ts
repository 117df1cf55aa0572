import { tensorsOf } from '@logsnr/core';
import type { Description, LayerDescription } from '../describe.js';
import type { Meter } from './backend.js';
import { product } from './rule.js';

type Layer = { -readonly [name in keyof LayerDescription]: LayerDescription[name] } & {
  /** Bytes of the buffers that it made and that are not freed. */
  held: number;
};

/** Counts what each layer does, down to a depth of its path. What is done in no layer is not counted. */
export class Tally implements Meter {
  readonly #layers = new Map<string, Layer>();
  #current: Layer | undefined;
  #held = 0;
  #peakBytes = 0;
  #forward = true;

  constructor(readonly depth: number) {}

  #layer(path: string): Layer {
    const short = path.split('.').slice(0, this.depth).join('.');
    const known = this.#layers.get(short);
    if (known) return known;
    const layer = { path: short, outputs: [], parameters: 0, multiplyAdds: 0, activationBytes: 0, held: 0 };
    this.#layers.set(short, layer);
    return layer;
  }

  /** What is done in `run` is done by the layer at `path`. */
  readonly observe = <O>(path: string, run: () => O): O => {
    const [around, layer] = [this.#current, this.#layer(path)];
    this.#current = layer;
    try {
      const output = run();
      layer.outputs = tensorsOf(output).map(({ shape }) => shape);
      return output;
    } finally {
      this.#current = around;
    }
  };

  multiplyAdds(count: number): void {
    if (this.#current && this.#forward) this.#current.multiplyAdds += count;
  }

  buffer(bytes: number): () => void {
    const layer = this.#current;
    const hold = (change: number): void => {
      if (!layer) return;
      layer.held += change;
      this.#held += change;
    };
    hold(bytes);
    if (this.#forward) this.#peakBytes = Math.max(this.#peakBytes, this.#held);
    return () => hold(-bytes);
  }

  /** The plain forward pass has ended; what comes is that of a training step. */
  forwardEnded(): void {
    this.#forward = false;
  }

  /** What is held now is what the training step keeps. */
  keep(): void {
    for (const layer of this.#layers.values()) layer.activationBytes = layer.held;
  }

  /** All counts, with those of the parameters of these shapes. Layers stand in the order in which they were applied. */
  description(shapes: Readonly<Record<string, readonly number[]>>): Omit<Description, 'batch'> {
    const order = [...this.#layers.keys()];
    for (const [name, shape] of Object.entries(shapes)) {
      const above = parent(name);
      const layer = this.#layer(above);
      layer.parameters += product(shape);
      // One that another layer uses without applying it stands behind its neighbours.
      if (!order.includes(layer.path)) {
        const near = parent(layer.path);
        order.splice(order.findLastIndex((path) => path === near || path.startsWith(`${near}.`)) + 1, 0, layer.path);
      }
    }
    const layers = order.map((path) => {
      const { held: _, ...layer } = this.#layer(path);
      return layer;
    });
    const sum = (count: 'parameters' | 'multiplyAdds' | 'activationBytes'): number =>
      layers.reduce((all, layer) => all + layer[count], 0);
    return {
      outputs: this.#layer('').outputs,
      parameters: sum('parameters'),
      multiplyAdds: sum('multiplyAdds'),
      activationBytes: sum('activationBytes'),
      peakBytes: this.#peakBytes,
      layers,
    };
  }
}

/** The path without its last name. */
const parent = (path: string): string => path.slice(0, Math.max(path.lastIndexOf('.'), 0));
