import type { Scores } from './judge.js';

export type TableRow = Scores & { readonly w: number };

/** As many real images, judged in the same way: the scores of perfect samples. */
export type RealScores = Pick<Scores, 'fid' | 'is'> & { readonly samples: number };

/** A sweep as a table for a terminal. */
export function sweepText(rows: readonly TableRow[], real?: RealScores): string {
  const cell = (value: number, digits: number) => value.toFixed(digits).padStart(9);
  const lines = rows.map(
    ({ w, fid, is, accuracy }) => `${cell(w, 2)}   ${cell(fid, 3)} ${cell(is, 3)}  ${cell(100 * accuracy, 1)} %`,
  );
  const last = real ? [`real images ${cell(real.fid, 3)} ${cell(real.is, 3)}   (${real.samples} of them)`] : [];
  return ['        w         FID        IS   read right', ...lines, ...last].join('\n');
}

/** A sweep as a table in Markdown. */
export function sweepMarkdown(rows: readonly TableRow[], real?: RealScores): string {
  const line = (...cells: string[]) => `| ${cells.join(' | ')} |`;
  const lines = rows.map(({ w, fid, is, accuracy }) =>
    line(String(w), fid.toFixed(2), is.toFixed(3), `${(100 * accuracy).toFixed(1)} %`),
  );
  const last = real ? [line(`${real.samples} real images`, real.fid.toFixed(2), real.is.toFixed(3), '')] : [];
  return [line('w', 'FID', 'IS', 'read right'), '| ---: | ---: | ---: | ---: |', ...lines, ...last].join('\n');
}
