import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os';

/** The name and driver of an NVIDIA card, if there is one. */
function findCard(): string[] {
  try {
    const query = ['--query-gpu=name,driver_version', '--format=csv,noheader'];
    const out = execFileSync('nvidia-smi', query, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const [name, driver] = (out.trim().split('\n')[0] ?? '').split(', ');
    return name && driver ? [`${name}, driver ${driver}`] : [];
  } catch {
    return [];
  }
}

/** The processor, its cores, memory and the system. */
export function machineFacts(): string[] {
  const model = cpus()[0]?.model.trim() || 'unknown processor';
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
  return [
    `${model}, ${availableParallelism()} cores, ${memory}; ${platform()} ${release()}, Node ${process.versions.node}`,
    ...findCard(),
  ];
}
