import { descriptionTable, presetNames } from '@logsnr/networks';
import type { Command } from 'commander';
import { describePreset, haveBackend, presetTable } from './describe-presets.js';
import { integer } from './options.js';

/** `logsnr describe`: the layers, shapes, parameters, multiply-adds and activation memory of a preset's network. */
export function addDescribe(program: Command): void {
  program
    .command('describe')
    .description("a network's layers, parameters, multiply-adds and memory, from shapes alone")
    .argument('[preset]', 'the name of a published network')
    .option('--all', 'a table of all presets, in Markdown')
    .option('--depth <D>', "names in a layer's path; deeper layers count for the one that they are in", integer(1), 2)
    .option('--batch <N>', 'samples in the batch', integer(1), 1)
    .option(
      '--json',
      'one line: { preset, batch, outputs, parameters, multiplyAdds, activationBytes, peakBytes, layers }',
    )
    .addHelpText(
      'after',
      `
Presets: ${presetNames.join(', ')}

Examples:
  logsnr describe adm-imagenet64
  logsnr describe dit-xl-2 --batch 8 --depth 1 --json`,
    )
    .action(
      async (name: string | undefined, options: { all?: boolean; depth: number; batch: number; json?: boolean }) => {
        const { all, json, depth, batch } = options;
        if (name === undefined && !all)
          throw new RangeError(`give one preset, or --all; the presets are ${presetNames.join(', ')}.`);
        await haveBackend();
        if (name === undefined) return console.log(presetTable());
        const description = describePreset(name, { depth, batch });
        console.log(json ? JSON.stringify({ preset: name, ...description }) : descriptionTable(description));
      },
    );
}
