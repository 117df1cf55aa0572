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

/** What this machine is, as far as the choice of a TensorFlow depends on it. */
export function thisMachine(): Machine & { driverFile: string | undefined } {
  const driverFile = driverFiles.find((file) => existsSync(file));
  const info = '/proc/cpuinfo';
  const avx = !existsSync(info) || /^flags.*\bavx\b/m.test(readFileSync(info, 'utf8'));
  return { platform: process.platform, arch: process.arch, driver: driverFile !== undefined, avx, driverFile };
}
