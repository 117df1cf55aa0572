import { existsSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { Command, InvalidArgumentError } from 'commander';
import { batches, type Case, caseNames, isRival, networks, type Variant, variantNames } from './cases.js';

export interface Options {
  torch?: string;
  json?: string;
  quick: boolean;
  case: readonly Case[];
  variant: readonly Variant[];
  batch: readonly number[];
  net: readonly string[];
  rounds: number;
  /** Seconds that one call may take. */
  limit: number;
}

const oneOf =
  <T extends string>(what: string, names: readonly T[]) =>
  (text: string): T[] =>
    [...new Set(text.split(','))].map((name) => {
      if (!(names as readonly string[]).includes(name))
        throw new InvalidArgumentError(`${what} is "${name}"; it must be of ${names.join(', ')}.`);
      return name as T;
    });

/** Reads a number of at least `least`. */
export const above = (what: string, least: number, whole: boolean) => (text: string) => {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= least && Number.isFinite(value)) || (whole && !Number.isInteger(value)))
    throw new InvalidArgumentError(
      `${what} is "${text}"; it must be ${whole ? 'an integer' : 'a number'} of at least ${least}.`,
    );
  return value;
};

/** A file that can be written at the end: its folder is there. */
export const target = (text: string): string => {
  if (!existsSync(dirname(text)) || (existsSync(text) && !statSync(text).isFile()))
    throw new InvalidArgumentError(`"${text}" is no file in a folder that is there.`);
  return text;
};

/** The command line. Ends the program with a message on an option that does not fit. */
export function readOptions(program = new Command('bench'), args: readonly string[] = process.argv.slice(2)): Options {
  const given = program
    .description(
      'Times the forward pass, the training step and guided sampling by DDIM, in turns, on every variant, checks that all give the same numbers, and prints a Markdown table.',
    )
    .option('--torch <python>', 'a Python with PyTorch, and onnx and onnxruntime if they are to be compared')
    .option('--json <file>', 'write the rows as JSON', target)
    .option('--quick', 'one small network and batch; ends in 2 minutes', false)
    .option('--case <list>', `of ${caseNames.join(', ')}`, oneOf('case', caseNames), [...caseNames])
    .option(
      '--variant <list>',
      `of ${variantNames.join(', ')} (default: all but wasm; quick: of the rivals torch and torch-bf16)`,
      oneOf('variant', variantNames),
    )
    .option('--batch <list>', 'batch sizes (default: 1,16,64; quick: 16)', (text) =>
      text.split(',').map(above('batch', 1, true)),
    )
    .option('--net <list>', `of ${Object.keys(networks).join(', ')}`, oneOf('net', Object.keys(networks)))
    .option('--rounds <n>', 'turns that each variant takes (default: 9; quick: 3)', above('rounds', 1, true))
    .option('--limit <seconds>', 'time that one call may take (default: 60; quick: 5)', above('limit', 1, false))
    .parse(args, { from: 'user' })
    .opts<Partial<Options>>();
  const rival = given.variant?.find(isRival);
  if (rival && !given.torch) program.error(`error: ${rival} needs a Python with PyTorch; name it with --torch.`);
  const quick = given.quick ?? false;
  const standard = {
    variant: variantNames.filter(
      (name) => name !== 'wasm' && (given.torch || !isRival(name)) && !(quick && /compile(?!d)|last|onnx/.test(name)),
    ),
    batch: quick ? [16] : batches,
    net: quick ? ['28x28-w16'] : Object.keys(networks),
    rounds: quick ? 3 : 9,
    limit: quick ? 5 : 60,
  };
  return { ...standard, ...given, quick } as Options;
}
