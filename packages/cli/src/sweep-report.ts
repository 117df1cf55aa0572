import { join } from 'node:path';
import { lineChart, writePng } from '@logsnr/figures';
import { piecesOf, replaceFile } from '@logsnr/io/node';
import { PUBLISHED, publishedChart } from './published.js';
import { guidedPicture, samplesPicture } from './sweep-pictures.js';
import {
  aligned,
  markdown,
  quoted,
  type Row,
  type SweepTable,
  sideBySide,
  tableCsv,
  tableMarkdown,
  tableText,
} from './sweep-table.js';

/** What is reported on. */
export interface Reported {
  /** The name of all models; '' where they have different ones. */
  readonly name: string;
  readonly subtitle: string;
  /** The models' labels, in the order of the columns. */
  readonly models: readonly string[];
}

/** A column of a table of cells: its head, in CSV and for people, and its values. */
type Column = readonly [csv: string, head: string, value: (row: Row) => number | string | null, digits?: number];

const MODEL: Column = ['model', 'model', ({ model }) => model];
const COLUMNS: readonly Column[] = [
  ['w', 'w', ({ w }) => w],
  ['steps', 'T', ({ steps }) => steps],
  ['samples', 'samples', ({ samples }) => samples],
  ['fid', 'Fréchet distance', ({ fid }) => fid, 3],
  ['is', 'IS', ({ is }) => is, 3],
  ['isStd', '± of IS', ({ isStd }) => isStd, 3],
];
const SECONDS: Column = ['seconds', 'seconds', ({ seconds }) => seconds];

const columnsOf = (models: readonly string[]) => (models.length > 1 ? [MODEL, ...COLUMNS] : COLUMNS);

/** A line for each cell, below the heads. */
function linesOf(rows: readonly Row[], models: readonly string[]): string[][] {
  const columns = columnsOf(models);
  const text = (value: number | string | null, digits?: number) =>
    typeof value === 'number' && digits !== undefined ? value.toFixed(digits) : String(value ?? '');
  return [
    columns.map(([, head]) => head),
    ...rows.map((row) => columns.map(([, , value, digits]) => text(value(row), digits))),
  ];
}

/** What a terminal shows: a line for each cell; of several models, the tables that have them side by side. */
export const sweepText = (rows: readonly Row[], { models }: Reported): string =>
  models.length > 1 ? tableText(sideBySide(rows, models)) : aligned(linesOf(rows, models));

/** What programs read: the rows; of several models, with whose they are, and the tables. */
export function sweepJson(rows: readonly Row[], { models }: Reported): { rows: object[]; tables?: SweepTable[] } {
  if (models.length === 1) return { rows: rows.map(({ model: _, prefix: __, ...scores }) => scores) };
  return { rows: rows.map(({ prefix: _, ...row }) => row), tables: sideBySide(rows, models) };
}

function csvOf(rows: readonly Row[], models: readonly string[]): string {
  const columns = [...columnsOf(models), SECONDS];
  const lines = rows.map((row) => columns.map(([, , value]) => quoted(String(value(row) ?? ''))));
  return [columns.map(([csv]) => csv), ...lines].map((line) => line.join(',')).join('\n');
}

/**
 * Writes `sweep.md`, `sweep.csv`, `results.json` and the pictures of the cells that are done; `table.md` and `table.csv` of several
 * models; `published.png` where the paper has tables of such a model.
 */
export async function writeReport(out: string, rows: readonly Row[], what: Reported): Promise<void> {
  const { name, subtitle, models } = what;
  const write = (name: string, text: string) => replaceFile(join(out, name), piecesOf(`${text}\n`));
  await write('sweep.md', markdown(linesOf(rows, models)));
  await write('sweep.csv', csvOf(rows, models));
  await write('results.json', JSON.stringify({ of: subtitle, ...sweepJson(rows, what) }, null, 2));
  if (models.length > 1) {
    const tables = sideBySide(rows, models);
    await write('table.md', tableMarkdown(tables));
    await write('table.csv', tableCsv(tables));
  }
  await writePng(join(out, 'curve.png'), curve(rows, what));
  const published = PUBLISHED[name];
  if (published) await writePng(join(out, 'published.png'), publishedChart(published));
  for (const [name, picture] of [
    ['samples.png', await samplesPicture(out, rows, models)],
    ['guided.png', await guidedPicture(out, rows, models)],
  ] as const)
    if (picture) await writePng(join(out, name), picture);
}

/** Fidelity against diversity, as in the paper's figure 4: a line for each model and T, along which w grows. Without IS, against w. */
function curve(rows: readonly Row[], { subtitle, models }: Reported): Uint8Array {
  const scored = rows.every(({ is }) => is !== null);
  const weights = [...new Set(rows.map(({ w }) => w))];
  const along = `along a line w = ${weights.join(', ')}`;
  const steps = [...new Set(rows.map(({ steps }) => steps))];
  const lines = models.flatMap((model) => steps.map((steps) => ({ model, steps })));
  const nameOf = (line: (typeof lines)[number]) =>
    [
      ...(models.length > 1 ? [line.model] : []),
      ...(models.length === 1 || steps.length > 1 ? [`T = ${line.steps}`] : []),
    ].join(', ');
  return lineChart({
    title: 'Fidelity against diversity',
    subtitle: scored ? `${subtitle}\n${along}` : subtitle,
    x: { label: scored ? 'Inception Score (higher is better)' : 'guidance weight w' },
    y: [{ label: 'Fréchet distance (lower is better)' }],
    series: lines
      .map((line) => ({
        name: nameOf(line),
        points: rows
          .filter(({ model, steps }) => model === line.model && steps === line.steps)
          .map(({ w, fid, is }) => [scored ? (is as number) : w, fid] as const),
        markers: true,
      }))
      .filter(({ points }) => points.length > 0),
  });
}
