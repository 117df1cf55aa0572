import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors, type Stored } from '@logsnr/io';

/** The checkpoint of a run at a step, without the seconds that it took. */
function checkpointOf(run: string, step: number) {
  const path = join(run, 'checkpoints', `step-${String(step).padStart(8, '0')}`, 'state.safetensors');
  const { tensors, metadata } = decodeSafetensors(readFileSync(path), path);
  const { seconds: _, ...rest } = metadata;
  return { tensors, metadata: JSON.stringify(rest) };
}

const bytesOf = ({ data }: Stored) => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

const losses = (run: string) =>
  readFileSync(join(run, 'metrics.jsonl'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .map(({ step, loss }) => `${step} ${loss}`)
    .join('\n');

/**
 * Compares two runs byte by byte: the checkpoints of a step and the losses in `metrics.jsonl`. Returns what it saw in
 * one line.
 * @throws Error that says what differs.
 */
export function compareRuns(run: string, other: string, step: number): string {
  const [a, b] = [checkpointOf(run, step), checkpointOf(other, step)];
  if (JSON.stringify(Object.keys(a.tensors)) !== JSON.stringify(Object.keys(b.tensors)) || a.metadata !== b.metadata)
    throw new Error(`the checkpoints hold other things: ${a.metadata} and ${b.metadata}`);
  let [total, different] = [0, 0];
  for (const [name, tensor] of Object.entries(a.tensors)) {
    const [one, two] = [bytesOf(tensor), bytesOf(b.tensors[name] as Stored)];
    if (one.length !== two.length) throw new Error(`${name} has ${one.length} and ${two.length} bytes`);
    total += one.length;
    for (let i = 0; i < one.length; i++) if (one[i] !== two[i]) different++;
  }
  const sameLosses = losses(run) === losses(other);
  const seen = `compared ${Object.keys(a.tensors).length} tensors, ${total} bytes: ${different} differ; metrics.jsonl ${sameLosses ? 'has each step once, with the same losses' : 'DIFFERS'}`;
  if (different > 0 || !sameLosses) throw new Error(`${seen}\nthe disturbed run is not the undisturbed one`);
  return seen;
}
