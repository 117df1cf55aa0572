#!/usr/bin/env node
import { Command } from 'commander';
import { addCommands } from './commands.js';
import { findReady } from './native.js';
import { Unavailable } from './unavailable.js';

const program = new Command('logsnr-tensorflow').description(
  'A current TensorFlow library for TensorFlow.js in Node: install it, and find out what is used.',
);
addCommands(program);
// For registerTensorflowSync.
program.command('find', { hidden: true }).action(async () => {
  process.stdout.write(JSON.stringify(await findReady({})));
});

try {
  await program.parseAsync();
} catch (error) {
  const native = error instanceof Unavailable ? 'no native TensorFlow: ' : '';
  process.stderr.write(`${native}${(error as Error).message}\n`);
  process.exitCode = 1;
}
