import { execFileSync } from 'node:child_process';
import { availableParallelism, cpus, platform, release, totalmem } from 'node:os';
import type { Variant } from './cases.js';

/** An NVIDIA card: its name and driver. */
export interface Card {
  name: string;
  driver: string;
}

export function findCard(): Card | undefined {
  try {
    const query = ['--query-gpu=name,driver_version', '--format=csv,noheader'];
    const out = execFileSync('nvidia-smi', query, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
    const [name, driver] = (out.trim().split('\n')[0] ?? '').split(', ');
    return name && driver ? { name, driver } : undefined;
  } catch {
    return undefined;
  }
}

/** The processor, its cores, memory and the system. */
export function machineFacts(card: Card | undefined): string[] {
  const model = cpus()[0]?.model.trim() || 'unknown processor';
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GiB`;
  return [
    `${model}, ${availableParallelism()} cores, ${memory}; ${platform()} ${release()}, Node ${process.versions.node}`,
    ...(card ? [`${card.name}, driver ${card.driver}`] : []),
  ];
}

// Dense tera-operations a second from NVIDIA's data sheets: TF32 (float32 where a card has none) and bfloat16 (float16
// where it has none), which is what convolutions of float32 and of bfloat16 run in by default.
const peaks: readonly (readonly [card: RegExp, float32: number, bfloat16: number])[] = [
  [/H100 PCIe/, 378, 756],
  [/H[12]00/, 495, 989],
  [/A100/, 156, 312],
  [/L40S/, 183, 366],
  [/\bL4\b/, 60, 121],
  [/RTX 4090/, 82.6, 165],
  [/RTX 3090/, 35.6, 71],
  [/\bT4\b/, 8.1, 65],
];

/** The card's peak in operations a second for a variant, if it is known or given (in 10¹² a second). */
export function peakOf(card: Card | undefined, variant: Variant, given?: number): number | undefined {
  if (given !== undefined) return given * 1e12;
  const found = card && peaks.find(([name]) => name.test(card.name));
  return found && found[variant === 'compiled-bf16' ? 2 : 1] * 1e12;
}
