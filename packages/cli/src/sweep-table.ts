import type { CellScores } from './sweep-cells.js';

/** The scores of a cell, and whose they are. */
export type Row = CellScores & { readonly model: string; readonly prefix?: string | undefined };

/** Scores of several models side by side, as in table 1 of Ho & Salimans 2022 (arXiv 2207.12598): a row for each w, at one T. */
export interface SweepTable {
  readonly steps: number;
  /** Of the columns. */
  readonly models: readonly string[];
  /** For each model its Fréchet distance and Inception Score; null where there is none. */
  readonly rows: readonly { readonly w: number; readonly fid: Scores; readonly is: Scores }[];
  /** The row of each model's lowest distance and highest score. */
  readonly best: { readonly fid: Scores; readonly is: Scores };
}
type Scores = readonly (number | null)[];

/** A table for each T. */
export function sideBySide(rows: readonly Row[], models: readonly string[]): SweepTable[] {
  return ascending(rows.map(({ steps }) => steps)).map((steps) => {
    const there = rows.filter((row) => row.steps === steps);
    const of = (model: string, w: number) => there.find((row) => row.model === model && row.w === w);
    const lines = ascending(there.map(({ w }) => w)).map((w) => ({
      w,
      fid: models.map((model) => of(model, w)?.fid ?? null),
      is: models.map((model) => of(model, w)?.is ?? null),
    }));
    const best = (score: 'fid' | 'is', sign: 1 | -1) =>
      models.map((_, i) =>
        bestOf(
          lines.map((line) => line[score][i] ?? null),
          sign,
        ),
      );
    return { steps, models, rows: lines, best: { fid: best('fid', 1), is: best('is', -1) } };
  });
}

const ascending = (values: readonly number[]) => [...new Set(values)].sort((a, b) => a - b);

/** The place of the least value times `sign`. */
function bestOf(values: Scores, sign: 1 | -1): number | null {
  const least = Math.min(...values.flatMap((value) => (value === null ? [] : [sign * value])));
  const place = values.findIndex((value) => value !== null && sign * value === least);
  return place < 0 ? null : place;
}

/** Lines of cells below their heads; `mark` is put on the best of each column. */
function cellsOf({ models, rows, best }: SweepTable, mark: (text: string) => string): string[][] {
  const scored = best.is.some((place) => place !== null);
  const groups = [['Fréchet distance', 'fid'] as const, ...(scored ? [['IS', 'is'] as const] : [])];
  const head = ['w', ...groups.flatMap(([name]) => models.map((model) => `${name}, ${model}`))];
  const lines = rows.map((row, at) => [
    String(row.w),
    ...groups.flatMap(([, score]) =>
      row[score].map((value, i) => {
        const text = value?.toFixed(3) ?? '';
        return best[score][i] === at ? mark(text) : text;
      }),
    ),
  ]);
  return [head, ...lines];
}

/** Cells as aligned text. */
export function aligned(lines: readonly (readonly string[])[]): string {
  const widths = (lines[0] ?? []).map((_, i) => Math.max(...lines.map((line) => (line[i] as string).length)));
  return lines
    .map((line) =>
      line
        .map((cell, i) => cell.padStart(widths[i] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

const caption = ({ steps }: SweepTable) => `T = ${steps} sampling steps`;

/** For a terminal; a star is on the best of each column. */
export const tableText = (tables: readonly SweepTable[]): string =>
  tables.map((table) => `${caption(table)}\n${aligned(cellsOf(table, (text) => `*${text}`))}`).join('\n\n');

/** In Markdown; the best of each column is bold. */
export const tableMarkdown = (tables: readonly SweepTable[]): string =>
  tables.map((table) => `${caption(table)}:\n\n${markdown(cellsOf(table, (text) => `**${text}**`))}`).join('\n\n');

/** Cells as a table in Markdown, with numbers to the right. */
export const markdown = ([head = [], ...lines]: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---:'), ...lines].map((line) => `| ${line.join(' | ')} |`).join('\n');

/** As comma-separated values, T and w first. */
export function tableCsv(tables: readonly SweepTable[]): string {
  const { models = [] } = tables[0] ?? {};
  const head = ['steps', 'w', ...['fid', 'is'].flatMap((score) => models.map((model) => `${score} ${model}`))];
  const lines = tables.flatMap(({ steps, rows }) =>
    rows.map(({ w, fid, is }) => [steps, w, ...[...fid, ...is].map((value) => value ?? '')]),
  );
  return [head.map(quoted), ...lines].map((line) => line.join(',')).join('\n');
}

/** A text as a field of CSV. */
export const quoted = (text: string): string => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
