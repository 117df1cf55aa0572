import { Command, InvalidArgumentError } from 'commander';
import { batches, type Case, caseNames, networks, settings, type Variant, variantNames } from './cases.js';

export interface Options {
  torch?: string;
  json?: string;
  markdown?: string;
  quick: boolean;
  case: readonly Case[];
  variant: readonly Variant[];
  batch: readonly number[];
  net: readonly string[];
  rounds: number;
  /** Seconds that one call may take. */
  limit: number;
  peak?: number;
}

const oneOf =
  <T extends string>(what: string, names: readonly T[]) =>
  (text: string): T[] =>
    text.split(',').map((name) => {
      if (!(names as readonly string[]).includes(name))
        throw new InvalidArgumentError(`${what} is "${name}"; it must be of ${names.join(', ')}.`);
      return name as T;
    });

const above = (what: string, least: number, whole: boolean) => (text: string) => {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  if (!(value >= least && Number.isFinite(value)) || (whole && !Number.isInteger(value)))
    throw new InvalidArgumentError(
      `${what} is "${text}"; it must be ${whole ? 'an integer' : 'a number'} of at least ${least}.`,
    );
  return value;
};

/** The command line. Ends the program with a message on an option that does not fit. */
export function readOptions(): Options {
  const given = new Command('bench')
    .description(
      `Times the forward pass, the training step and guided sampling of ${settings.steps} DDIM steps, in turns, on every\nvariant, checks that all give the same numbers, and prints a Markdown table.`,
    )
    .option('--torch <python>', 'a Python with PyTorch, to compare with it')
    .option('--json <file>', 'write the rows as JSON')
    .option('--markdown <file>', 'write the table into this document, between its marks')
    .option('--quick', 'one small network and batch; ends in 2 minutes', false)
    .option('--case <list>', `of ${caseNames.join(', ')}`, oneOf('case', caseNames), [...caseNames])
    .option('--variant <list>', `of ${variantNames.join(', ')}`, oneOf('variant', variantNames), [...variantNames])
    .option('--batch <list>', 'batch sizes (default: 1,16,64; quick: 16)', (text) =>
      text.split(',').map(above('batch', 1, true)),
    )
    .option('--net <list>', `of ${Object.keys(networks).join(', ')}`, oneOf('net', Object.keys(networks)))
    .option('--rounds <n>', 'turns that each variant takes (default: 7; quick: 3)', above('rounds', 1, true))
    .option('--limit <seconds>', 'time that one call may take (default: 60; quick: 5)', above('limit', 1, false))
    .option('--peak <tflops>', "a card's peak in 10^12 operations a second", above('peak', 1e-3, false))
    .parse()
    .opts<Partial<Options>>();
  const quick = given.quick ?? false;
  const standard = {
    batch: quick ? [16] : batches,
    net: quick ? ['28x28-w16'] : Object.keys(networks),
    rounds: quick ? 3 : 7,
    limit: quick ? 5 : 60,
  };
  const all = { ...standard, ...given } as Options;
  const variant = all.variant.filter((name) => all.torch || !name.startsWith('torch'));
  return { ...all, quick, variant };
}
