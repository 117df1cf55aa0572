// pnpm bench:profile: where the time of a compiled graph goes, operation by operation, by TensorFlow's own trace.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { registerTensorflow, savedModelOf, savedModels, useBackend } from '@logsnr/tensorflow';
import { Command, Option } from 'commander';
import { type Case, networks, settings } from './cases.js';
import { prepare } from './prepare.js';
import { load } from './workload.js';

const options = new Command('profile')
  .description('Traces one compiled graph and prints the time in each kind of operation.')
  .requiredOption('--python <path>', 'a Python with the package tensorflow')
  .addOption(new Option('--net <name>').choices(Object.keys(networks)).default('28x28-w16'))
  .addOption(new Option('--case <case>').choices(['forward', 'train']).default('forward'))
  .option('--batch <n>', 'batch size', Number, 16)
  .parse()
  .opts<{ python: string; net: string; case: Case; batch: number }>();

await useBackend({ backend: 'tensorflow' });
const { operations } = await registerTensorflow();
const config = networks[options.net];
if (!config) throw new RangeError(`there is no network "${options.net}".`);
const folder = mkdtempSync(join(tmpdir(), 'logsnr-profile-'));
try {
  const files = prepare(folder, options.net, config, options.batch);
  const job = { ...settings, case: options.case, batch: options.batch, config, ...files, lambdas: [] };
  const model = join(folder, 'saved_model.pb');
  // The graph as it is loaded, written out for the trace.
  const loader = {
    load(nodes: Parameters<typeof savedModels.load>[0]) {
      writeFileSync(model, savedModelOf(nodes));
      console.log(
        `${options.net}, ${options.case}, batch ${options.batch}: ${nodes.length} nodes before TensorFlow's optimizations`,
      );
      return savedModels.load(nodes);
    },
  };
  load(job, 'float32', loader).run();
  const script = fileURLToPath(new URL('trace_graph.py', import.meta.url));
  execFileSync(options.python, [script, model, ...(operations ? [operations] : [])], { stdio: 'inherit' });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
