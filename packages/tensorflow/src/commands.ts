import { matMul, ones, sum, tidy } from '@tensorflow/tfjs-core';
import { type Command, Option } from 'commander';
import { describe, useBackend } from './backend.js';
import { doctor, printed } from './doctor.js';
import { install } from './install.js';
import type { Device } from './plan.js';

/**
 * Adds `install` and `doctor` to a command line of commander's. What `doctor` tries, it tries in another process of the same
 * program, so the program's first argument must be able to be `check`, a command that is added too.
 */
export function addCommands(program: Command): void {
  program
    .command('install')
    .description('find or fetch TensorFlow, compile the binding, and try them; does nothing where all is there')
    .addOption(new Option('--device <device>', 'where to compute').choices(['cpu', 'cuda']))
    .option('--force', 'fetch and compile again what is there')
    .action(async ({ device, force }: { device?: Device; force?: boolean }) => {
      await install({ ...(device ? { device } : {}), force: force ?? false });
      await check('tensorflow', device);
    });

  program
    .command('doctor')
    .description('say what is installed, what is used, why, and what to do; ends with 1 where native TensorFlow fails')
    .option('--json', 'print the report as JSON')
    .action(async ({ json }: { json?: boolean }) => {
      const script = process.argv[1] ?? '';
      const report = await doctor([process.execPath, ...process.execArgv, script, 'check']);
      process.stdout.write(`${json ? JSON.stringify(report, null, 2) : printed(report)}\n`);
      // A machine that was told to use another backend is well if that one works.
      const other = process.env.LOGSNR_BACKEND && process.env.LOGSNR_BACKEND !== 'tensorflow';
      process.exitCode = report.native || (other && report.backend) ? 0 : 1;
    });

  program.addHelpText(
    'after',
    `
Environment:
  LOGSNR_BACKEND     tensorflow, wasm or cpu: use this one or fail
  LOGSNR_DEVICE      cpu or cuda; by default cuda where an NVIDIA driver is found
  LOGSNR_TENSORFLOW  folder of an installed Python package "tensorflow" (2.16 or newer) to use
  LOGSNR_PYTHON      Python whose packages are looked through and whose pip fetches TensorFlow
  LOGSNR_CACHE       folder for what is fetched and compiled; by default the user's cache folder
  CXX                C++ compiler; by default g++, then clang++`,
  );
  program.command('check', { hidden: true }).action(() => check());
}

/** Computes something whose result is known, and prints the backend in one line. */
async function check(backend?: 'tensorflow', device?: Device): Promise<void> {
  const info = await useBackend({ quiet: true, ...(backend ? { backend } : {}), ...(device ? { device } : {}) });
  const total = tidy(() => sum(matMul(ones([64, 32]), ones([32, 16]))).dataSync()[0]);
  if (total !== 64 * 32 * 16) throw new Error(`a matrix product on ${info.backend} gave ${total}, not ${64 * 32 * 16}`);
  process.stdout.write(`${describe(info)}\n`);
}
