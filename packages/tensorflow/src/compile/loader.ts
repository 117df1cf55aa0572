import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Tensor } from '@tensorflow/tfjs-core';
import { nativeBackend } from '../native.js';
import { type Node, savedModelOf, TAG } from './proto.js';

/** A loaded graph. `feeds` and `fetches` are places in it, `name:output`. Returns new tensors, which the caller owns. */
export interface Graph {
  run(feeds: readonly (readonly [place: string, value: Tensor])[], fetches: readonly string[]): Tensor[];
  dispose(): void;
}

/** What loads graphs: the one door between captured functions and the library that runs them. */
export interface GraphLoader {
  load(nodes: readonly Node[]): Graph;
}

/** Graphs run by the stock binding of tfjs-node-gpu: each a SavedModel, in a session with Grappler's optimizations. */
export const savedModels: GraphLoader = {
  load(nodes) {
    const backend = nativeBackend();
    const folder = mkdtempSync(join(tmpdir(), 'logsnr-graph-'));
    let id: number | undefined;
    try {
      writeFileSync(join(folder, 'saved_model.pb'), savedModelOf(nodes));
      id = backend.binding.loadSavedModel(folder, TAG);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return {
      run(feeds, fetches) {
        if (id === undefined) throw new Error('this compiled function has been disposed.');
        const values = backend.getInputTensorIds(feeds.map(([, tensor]) => tensor));
        const places = feeds.map(([place]) => place).join(',');
        return backend.binding
          .runSavedModel(id, values, places, fetches.join(','))
          .map((metadata) => backend.createOutputTensor(metadata));
      },
      dispose() {
        if (id !== undefined) backend.binding.deleteSavedModel(id);
        id = undefined;
      },
    };
  },
};
