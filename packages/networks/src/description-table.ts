import type { Described, Description } from './describe.js';

const heads = ['layer', 'output', 'parameters', 'multiply-adds', 'activations'];

/** A description as a table: a row a layer, and the sum of all. `×` stands between the sizes of an output. */
export function descriptionTable(description: Description): string {
  const cells = (name: string, { outputs, parameters, multiplyAdds, activationBytes }: Described): string[] => [
    name,
    outputs.map((shape) => shape.join('×')).join(', '),
    readable(parameters),
    readable(multiplyAdds),
    readable(activationBytes, 'B'),
  ];
  const rows = [
    heads,
    ...description.layers.map((layer) => cells(layer.path || '(itself)', layer)),
    cells('total', description),
  ];
  const widths = heads.map((_, column) => Math.max(...rows.map((row) => (row[column] as string).length)));
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) =>
        column < 2 ? cell.padEnd(widths[column] as number) : cell.padStart(widths[column] as number),
      )
      .join('  ')
      .trimEnd();
  const rule = '─'.repeat(widths.reduce((sum, width) => sum + width + 2, -2));
  const [head, ...body] = rows.map(line);
  return [head, rule, ...body.slice(0, -1), rule, ...body.slice(-1)].join('\n');
}

/** A number with four digits and the prefix of a power of 1000: "295.9 M", "1.206 GB"; a smaller one whole. */
export function readable(value: number, unit = ''): string {
  const prefixes = ['', 'k', 'M', 'G', 'T', 'P'];
  let power = 0;
  while (Number((value / 1000 ** power).toPrecision(4)) >= 1000 && power < prefixes.length - 1) power++;
  const digits = power === 0 ? String(value) : (value / 1000 ** power).toPrecision(4);
  return `${digits} ${prefixes[power]}${unit}`.trimEnd();
}
