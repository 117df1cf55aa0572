import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { cacheFolder, command, isolated, lastLines, pythonProgram } from '@logsnr/io/node';
import { bindingFault, bindingFile, compiler, OPERATIONS } from './binding.js';
import { checkCache } from './cache.js';
import { findTensorflow, libraryFault } from './find.js';
import { thisMachine } from './machine.js';
import { chooseBackends, chooseDevice, whyNotNative } from './plan.js';
import { installing } from './unavailable.js';

/** One thing that was looked at: what was found, whether it serves, and what to do where it does not. */
interface Finding {
  what: string;
  found: string;
  ok: boolean;
  todo?: string;
}

/** What is installed, what is used, and why. */
export interface Report {
  findings: Finding[];
  /** Whether the native TensorFlow works here. */
  native: boolean;
  /** The backend that `useBackend` takes here; null where it takes none. */
  backend: string | null;
}

/**
 * Looks at everything that the native backend needs, and tries it in another process: a library that ends the process
 * that loads it is a finding too. `check` is the command whose output is the result of that trial. Changes nothing.
 */
export async function doctor(check: readonly [program: string, ...args: string[]]): Promise<Report> {
  const findings: Finding[] = [];
  const add = (what: string, found: string, ok = true, todo?: string) =>
    findings.push({ what, found, ok, ...(!ok && todo ? { todo } : {}) });
  const machine = thisMachine();
  const why = whyNotNative(machine);
  const node = Number.parseInt(process.versions.node, 10);
  add('node', `${process.version} ${machine.platform} ${machine.arch}`, node >= 20, 'install Node 20 or newer');
  add('processor', why ?? 'suits TensorFlow', !why, 'nothing: WebAssembly is used here');
  const device = chooseDevice(process.env.LOGSNR_DEVICE, machine);
  const asked = process.env.LOGSNR_DEVICE ? 'LOGSNR_DEVICE' : 'by default';
  add('device', `${device} (${asked}); NVIDIA driver: ${machine.driverFile ?? 'none'}`);
  await lookAtPython(add);
  await lookAtCompiler(add);
  lookAtCache(add);
  await lookAtTensorflow(device, add);

  const trial = async (backend?: string) => {
    const [program, ...args] = check;
    const env = { ...process.env, ...(backend ? { LOGSNR_BACKEND: backend } : {}) };
    // In this folder, as what the user's own variables name may be relative to it.
    const { code, out, err, fault } = await command(program, args, { env, cwd: process.cwd(), seconds: 300 });
    if (code === 0) return { works: out.trim() };
    return { fails: fault ? `the process ${fault}` : lastLines(err) || `it ended with code ${code}` };
  };
  const native = await trial('tensorflow');
  add('native TensorFlow', native.works ?? native.fails, native.works !== undefined, why ? undefined : installing);
  const order = chooseBackends(process.env.LOGSNR_BACKEND);
  const used = native.works !== undefined && order[0] === 'tensorflow' ? native : await trial();
  add(
    'backend in use',
    used.works ?? used.fails,
    used.works !== undefined,
    'unset LOGSNR_BACKEND, or follow the above',
  );
  return { findings, native: native.works !== undefined, backend: used.works ?? null };
}

type Add = (what: string, found: string, ok?: boolean, todo?: string) => void;

async function lookAtPython(add: Add): Promise<void> {
  const program = pythonProgram();
  const { code, out, fault } = await command(program, [isolated, '-m', 'pip', '--version']);
  const found = `${program} ${fault || 'has no pip'}`;
  // Only a first installation needs it.
  add('python', code === 0 ? `${program}: ${out.trim()}` : `${found} (only needed to fetch TensorFlow)`);
}

async function lookAtCompiler(add: Add): Promise<void> {
  try {
    const { program, version } = await compiler();
    add('compiler', `${program}: ${version}`);
  } catch (error) {
    add('compiler', `${(error as Error).message} (only needed to build the binding)`);
  }
}

function lookAtCache(add: Add): void {
  try {
    checkCache(cacheFolder());
    add('cache', cacheFolder());
  } catch (error) {
    add('cache', (error as Error).message, false);
  }
}

async function lookAtTensorflow(device: 'cpu' | 'cuda', add: Add): Promise<void> {
  try {
    const { found, notes } = await findTensorflow(device);
    if (!found) return add('TensorFlow', notes.join('; '), false, installing);
    const library = await libraryFault(found, true);
    add('TensorFlow', library ?? `${found.version} (${found.device}) in ${found.folder}`, !library, installing);
    const binding = bindingFile(found);
    const fault = await bindingFault(found, true);
    add('binding', fault ?? binding, !fault, installing);
    const operations = join(dirname(binding), OPERATIONS);
    const instead = 'composed of the library’s (slower, the same numbers)';
    if (existsSync(binding)) add('fused operations', existsSync(operations) ? operations : instead);
  } catch (error) {
    add('TensorFlow', (error as Error).message, false, 'correct or unset LOGSNR_TENSORFLOW');
  }
}

/** The report as lines for a terminal. */
export function printed({ findings }: Report): string {
  const width = Math.max(...findings.map(({ what }) => what.length));
  return findings
    .map(({ what, found, ok, todo }) => {
      const line = `${ok ? 'ok  ' : 'FAIL'}  ${what.padEnd(width)}  ${found}`;
      return todo ? `${line}\n${' '.repeat(width + 8)}→ ${todo}` : line;
    })
    .join('\n');
}
