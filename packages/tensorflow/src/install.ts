import { cacheFolder, say } from '@logsnr/io/node';
import { compileBinding, compiler } from './binding.js';
import { collectLeftOvers } from './cache.js';
import { fetchRelease } from './fetch.js';
import { type Found, findTensorflow } from './find.js';
import { thisMachine } from './machine.js';
import type { NativeOptions } from './native.js';
import { chooseDevice, chooseWheel, type Device, suits, whyNotNative } from './plan.js';
import { Unavailable } from './unavailable.js';

/** What to install, and whether to do it again. */
export interface InstallOptions extends NativeOptions {
  /** Fetch and compile again what is there. */
  force?: boolean;
}

/**
 * Makes the native backend usable: finds TensorFlow or fetches the pinned release into the per-user cache, then
 * compiles the binding against it. What of this is there is read in full, and made anew where it is damaged.
 * @throws Unavailable with the reason, in one line.
 */
export async function install(options: InstallOptions = {}): Promise<{ found: Found; binding: string }> {
  const machine = thisMachine();
  const reason = whyNotNative(machine);
  if (reason) throw new Unavailable(reason);
  const asked = options.device ?? process.env.LOGSNR_DEVICE;
  const device = chooseDevice(asked, machine);
  const force = options.force ?? false;
  await compiler();
  await collectLeftOvers(cacheFolder());
  const { found } = await findTensorflow(device, options.folder);
  const kept = found && (found.source === 'folder' || suits(found.device, device)) ? found : undefined;
  const fetched = () => fetchFor(kept?.device === 'cuda' ? 'cuda' : device, Boolean(asked), force);
  const used = kept && kept.source !== 'cache' ? kept : await fetched();
  return { found: used, binding: await compileBinding(used, force) };
}

/** Fetches the release for a device; one for the processor where the GPU's was not asked for and cannot be had. */
async function fetchFor(device: Device, asked: boolean, force: boolean): Promise<Found> {
  const choice = chooseWheel(device, thisMachine());
  try {
    if ('reason' in choice) throw new Unavailable(choice.reason);
    return await fetchRelease(choice.wheel, force);
  } catch (error) {
    if (device === 'cpu' || asked) throw error;
    say(`no TensorFlow with CUDA: ${(error as Error).message}; taking the one for the processor`);
    return fetchFor('cpu', true, force);
  }
}
