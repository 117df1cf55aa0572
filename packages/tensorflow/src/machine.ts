import { existsSync, readFileSync } from 'node:fs';
import type { Machine } from './plan.js';

// Where the driver's library lies on the common distributions, in containers and under WSL.
const driverFiles = [
  '/proc/driver/nvidia/version',
  '/usr/lib/x86_64-linux-gnu/libcuda.so.1',
  '/usr/lib64/libcuda.so.1',
  '/usr/lib/libcuda.so.1',
  '/usr/local/nvidia/lib64/libcuda.so.1',
  '/usr/lib/wsl/lib/libcuda.so.1',
  '/usr/bin/nvidia-smi',
];

const info = '/proc/cpuinfo';
const cpuinfo = (): string => (existsSync(info) ? readFileSync(info, 'utf8') : '');

/** The processor's model and instructions, as far as the system tells; code compiled for it may not run on another. */
export const processor = (): string =>
  cpuinfo()
    .split('\n\n', 1)[0]
    ?.split('\n')
    .filter((line) => /^(model name|flags|Features|CPU (implementer|part))\b/.test(line))
    .join('\n') ?? '';

/** What this machine is, as far as the choice of a TensorFlow depends on it. */
export function thisMachine(): Machine & { driverFile: string | undefined } {
  const driverFile = driverFiles.find((file) => existsSync(file));
  const avx = !existsSync(info) || /^flags.*\bavx\b/m.test(cpuinfo());
  return { platform: process.platform, arch: process.arch, driver: driverFile !== undefined, avx, driverFile };
}
