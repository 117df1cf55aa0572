import { createRequire } from 'node:module';
import { say } from '@logsnr/io/node';
import { addCommands, Unavailable } from '@logsnr/tensorflow';
import { Command, CommanderError } from 'commander';

/** The commands, each loaded when it is asked for: a description of a network waits for no encoder of pictures. */
const COMMANDS: Readonly<Record<string, () => Promise<(program: Command) => void>>> = {
  train: async () => (await import('./train.js')).addTrain,
  sample: async () => (await import('./sample.js')).addSample,
  sweep: async () => (await import('./sweep.js')).addSweep,
  describe: async () => (await import('./describe.js')).addDescribe,
  evaluate: async () => (await import('./evaluate.js')).addEvaluate,
  convert: async () => (await import('./convert.js')).addConvert,
};

/**
 * Runs `logsnr` with these arguments.
 * @returns the exit code: 0, or 1 after one line on standard error that says what is wrong.
 */
export async function main(args: readonly string[]): Promise<number> {
  const { version } = createRequire(import.meta.url)('../package.json') as { version: string };
  const program = new Command('logsnr')
    .description('Class-conditional diffusion with classifier-free guidance, on TensorFlow.js.')
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'logsnr: ')) })
    .addHelpText('after', '\n`logsnr COMMAND --help` has examples.');
  // pnpm hands the two dashes on that stand between its arguments and ours.
  const [first, ...more] = args;
  const given = first === '--' ? more : args;
  const [name] = given;
  const own = Object.keys(COMMANDS);
  for (const each of name !== undefined && own.includes(name) ? [name] : own) (await COMMANDS[each]?.())?.(program);
  addCommands(program);
  const names = program.commands.map((command) => command.name()).filter((name) => name !== 'check');
  if (name !== undefined && !name.startsWith('-') && ![...names, 'check', 'help'].includes(name)) {
    say(`logsnr: there is no command "${name}"; the commands are ${names.join(', ')}.`);
    return 1;
  }
  try {
    process.exitCode = 0;
    await program.parseAsync(given, { from: 'user' });
    return Number(process.exitCode);
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode;
    say(`logsnr: ${messageOf(error)}`);
    return 1;
  }
}

/** One line for those who use the program; a fault of the code keeps its stack. */
function messageOf(error: unknown): string {
  if (error instanceof Unavailable) return `no native TensorFlow: ${error.message}`;
  if (!(error instanceof Error)) return String(error);
  const ofCode = [TypeError, ReferenceError, SyntaxError].some((kind) => error instanceof kind);
  return ofCode ? (error.stack ?? error.message) : error.message;
}
