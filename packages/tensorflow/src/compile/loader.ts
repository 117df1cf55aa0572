import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { codeOf } from '@logsnr/io/node';
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
    const folder = folderOf(savedModelOf(nodes));
    // Without their constants, which may be large.
    const origins = nodes.map(({ name, op, from }) => ({ name, op, from }));
    let id: number | undefined;
    try {
      id = backend.binding.loadSavedModel(folder, TAG);
    } catch (error) {
      throw explained(origins, error);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    return {
      run(feeds, fetches) {
        if (id === undefined) throw new Error('this compiled function has been disposed.');
        if (fetches.length === 0) return [];
        const values = backend.getInputTensorIds(feeds.map(([, tensor]) => tensor));
        const places = feeds.map(([place]) => place).join(',');
        try {
          return backend.binding
            .runSavedModel(id, values, places, fetches.join(','))
            .map((metadata) => backend.createOutputTensor(metadata));
        } catch (error) {
          throw explained(origins, error);
        }
      },
      dispose() {
        if (id !== undefined) backend.binding.deleteSavedModel(id);
        id = undefined;
      },
    };
  },
};

const PREFIX = 'logsnr-graph-';
let collected = false;

/** A new folder with the model, which lives for the moment in which TensorFlow reads it. */
function folderOf(model: Uint8Array): string {
  const base = tmpdir();
  let folder: string | undefined;
  try {
    if (!collected) collect(base);
    collected = true;
    folder = mkdtempSync(join(base, `${PREFIX}${process.pid}-`));
    writeFileSync(join(folder, 'saved_model.pb'), model);
    return folder;
  } catch (error) {
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
    throw new Error(
      `compile: TensorFlow takes a graph from a folder for temporary files, and none can be written in ${base}: ${(error as Error).message}. Set TMPDIR to a folder that can be written to.`,
    );
  }
}

/** Removes what processes that were killed while they loaded a graph have left in `base`. */
export function collect(base: string): void {
  for (const name of readdirSync(base)) {
    const pid = new RegExp(`^${PREFIX}(\\d+)-`).exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    const folder = join(base, name);
    try {
      // A process of another container may use the same folder, and cannot be seen: it is done within a minute.
      if (Date.now() - statSync(folder).mtimeMs > 60_000) rmSync(folder, { recursive: true, force: true });
    } catch {
      // Another user's, or already gone.
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) !== 'ESRCH';
  }
}

/** TensorFlow's message, which names a node, with the operation that made it. */
function explained(nodes: readonly Pick<Node, 'name' | 'op' | 'from'>[], error: unknown): Error {
  const { message } = error as Error;
  const name = /\bnode ([\w/]+)/.exec(message)?.[1];
  const node = nodes.find((node) => node.name === name);
  return new Error(`compile: ${node?.from ?? node?.op ?? 'the graph'}: ${message}`);
}
