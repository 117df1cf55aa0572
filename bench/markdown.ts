import { type Case, caseNames, isRival, type Variant, variantNames } from './cases.js';
import type { Row } from './statistics.js';

/** What the tables say about where they come from. */
export interface Setting {
  command: string;
  /** Machine, versions, threads: one line each. */
  facts: readonly string[];
  /** What was left out or stopped, and the comparisons of outputs. */
  notes: readonly string[];
}

const titles: Record<Case, string> = {
  forward: 'Forward pass',
  train: 'Training step (loss, gradients, Adam)',
  sample: 'Guided sampling by DDIM',
};

/** Milliseconds with three digits that count. */
export const ms = (value: number): string =>
  value >= 99.95 ? value.toFixed(0) : value >= 9.995 ? value.toFixed(1) : value.toFixed(2);

const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
const table = (head: readonly string[], body: readonly (readonly string[])[]): string =>
  [line(head), line(head.map((_, i) => (i === 0 ? '---' : '---:'))), ...body.map(line)].join('\n');

/** The result as Markdown: a table of medians for each case, then every row with its spread. */
export function markdown(rows: readonly Row[], { command, facts, notes }: Setting): string {
  const list = (items: readonly string[]) => items.map((item) => `- ${item}`).join('\n');
  const cases = caseNames.filter((name) => rows.some((row) => row.case === name));
  return [
    `\`${command}\``,
    list(facts),
    'Median milliseconds; in bold the ratio to the fastest rival of equal precision in the same run, which is named: of those in float32, or of all where bfloat16 is allowed.',
    ...cases.flatMap((name) => [`### ${titles[name]}`, medians(rows.filter((row) => row.case === name))]),
    '### Every row',
    details(rows),
    ...(notes.length > 0 ? [list(notes)] : []),
  ].join('\n\n');
}

function medians(rows: readonly Row[]): string {
  const variants = variantNames.filter((name) => rows.some((row) => row.variant === name));
  const cells = new Map<string, Map<Variant, string>>();
  for (const row of rows) {
    const { network, batch, variant, steps } = row;
    const name = `${network}, batch ${batch}${steps ? `, ${steps} steps` : ''}`;
    const cell = cells.get(name) ?? new Map<Variant, string>();
    cells.set(name, cell.set(variant, [ms(row.medianMs), ...(isRival(variant) ? [] : best(row))].join(' ')));
  }
  const body = [...cells].map(([name, cell]) => [name, ...variants.map((variant) => cell.get(variant) ?? '–')]);
  return table(['network', ...variants], body);
}

/** The ratio to the fastest rival and its name, where there is one. */
const best = ({ ratioToBest, bestRival }: Row): string[] =>
  ratioToBest === null ? [] : [`**${ratioToBest.toFixed(2)}** ${bestRival}`];

function details(rows: readonly Row[]): string {
  const graph = rows.some((row) => row.outsideGraph !== undefined);
  const peak = rows.some((row) => row.shareOfPeak !== undefined);
  const head = [
    'network',
    'case',
    'batch',
    'variant',
    'median ms',
    'min – max',
    'runs',
    '× PyTorch',
    '× best rival',
    'first call ms',
  ];
  const percent = (value: number | undefined) => (value === undefined ? '' : `${(100 * value).toFixed(1)} %`);
  return table(
    [...head, 'peak MiB', ...(graph ? ['outside graphs'] : []), ...(peak ? ['of the peak'] : [])],
    rows.map((row) => [
      row.network,
      row.steps ? `${row.case}, ${row.steps} steps` : row.case,
      String(row.batch),
      row.variant,
      ms(row.medianMs),
      `${ms(row.minMs)} – ${ms(row.maxMs)}`,
      String(row.runs),
      row.ratioToTorch?.toFixed(2) ?? '',
      best(row).join(''),
      row.firstMs.toFixed(0),
      row.peakMiB.toFixed(0),
      ...(graph ? [percent(row.outsideGraph)] : []),
      ...(peak ? [percent(row.shareOfPeak)] : []),
    ]),
  );
}
