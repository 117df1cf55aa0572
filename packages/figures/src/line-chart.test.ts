import { expect, test } from 'vitest';
import { dark, open } from '../test/open-png.js';
import { numberText } from './chart-option.js';
import { type LineChart, lineChart } from './index.js';

test('numbers of a logarithmic axis, without the dust of floating point', () => {
  expect([0.00009999999999999999, 1e-5, 5e-7, 0.001, 0.05, 1, 500, 1000].map(numberText)).toEqual([
    '10⁻⁴',
    '10⁻⁵',
    '5·10⁻⁷',
    '0.001',
    '0.05',
    '1',
    '500',
    '1,000',
  ]);
});

const chart = (more: Partial<LineChart> = {}): LineChart => ({
  title: 'Title',
  x: { label: 'step' },
  y: [{ label: 'loss' }],
  series: [
    {
      name: 'up',
      color: '#ff00ff',
      markers: false,
      points: [
        [0, 1],
        [10, 3],
      ],
    },
  ],
  width: 640,
  height: 400,
  ...more,
});

test('lineChart draws the data, the text, and the same bytes each time', () => {
  const bytes = lineChart(chart());
  expect(Buffer.from(lineChart(chart())).equals(Buffer.from(bytes))).toBe(true);
  const png = open(bytes);
  expect([png.width, png.height]).toEqual([640, 400]);
  const curve = png.where((rgb) => rgb.join() === '255,0,255').filter(([, y]) => y > 112);
  const [first, last] = [curve.reduce((a, b) => (b[0] < a[0] ? b : a)), curve.reduce((a, b) => (b[0] > a[0] ? b : a))];
  expect(last[1]).toBeLessThan(first[1] - 100);
  expect(last[0] - first[0]).toBeGreaterThan(450);
  expect(png.where(dark).filter(([x, y]) => x > 28 && x < 110 && y > 15 && y < 45).length).toBeGreaterThan(150);
  expect(png.where(dark).filter(([x, y]) => x < 50 && y > 150 && y < 350).length).toBeGreaterThan(40);
  expect(png.where(dark).filter(([, y]) => y > 360 && y < 395).length).toBeGreaterThan(40);
});

test('the second axis has a scale of its own', () => {
  const flat = (axis: 0 | 1, scale: number) => ({
    name: `${axis}`,
    axis,
    markers: false,
    points: [
      [0, scale],
      [1, 2 * scale],
    ] as [number, number][],
  });
  const top = (second: number) => {
    const png = open(
      lineChart(
        chart({
          y: [{ label: 'FID' }, { label: 'IS' }],
          series: [
            { ...flat(0, 100), color: '#00ff00' },
            { ...flat(1, second), color: '#ff00ff' },
          ],
        }),
      ),
    );
    const inside = png
      .where((rgb) => rgb.join() === '255,0,255')
      .filter(([, y]) => y > 112)
      .map(([, y]) => y);
    return Math.max(...inside) - Math.min(...inside);
  };
  expect(Math.abs(top(1) - top(100))).toBeLessThan(4);
  expect(top(1)).toBeGreaterThan(100);
});

test('axes reach as far as reference lines do', () => {
  const span = (more: Partial<LineChart>) => {
    const curve = open(lineChart(chart(more)))
      .where((rgb) => rgb.join() === '255,0,255')
      .filter(([, y]) => y > 112);
    return Math.max(...curve.map(([, y]) => y)) - Math.min(...curve.map(([, y]) => y));
  };
  expect(span({ references: [{ name: 'published', value: 20 }] })).toBeLessThan(0.3 * span({}));
  const level: LineChart['series'] = [
    {
      name: 'level',
      points: [
        [0, 1],
        [1, 1],
      ],
    },
  ];
  expect(open(lineChart(chart({ y: [{ label: 'loss', log: true }], series: level }))).width).toBe(640);
  expect(span({ y: [{ label: 'loss', log: true }], references: [{ name: 'published', value: 1000 }] })).toBeLessThan(
    0.3 * span({}),
  );
});

test('lineChart names what it cannot draw', () => {
  const series = (points: [number, number][], axis: 0 | 1 = 0) => [{ name: 'FID', points, axis }];
  expect(() => lineChart(chart({ series: [] }))).toThrow('series is empty');
  expect(() => lineChart(chart({ series: series([]) }))).toThrow('series "FID" has no points');
  expect(() =>
    lineChart(
      chart({
        series: series([
          [0, 1],
          [1, Number.NaN],
        ]),
      }),
    ),
  ).toThrow('y of point 1 of series "FID" is NaN');
  expect(() => lineChart(chart({ series: series([[Number.POSITIVE_INFINITY, 1]]) }))).toThrow(
    'x of point 0 of series "FID"',
  );
  expect(() => lineChart(chart({ series: series([[0, 1]]), x: { label: 'x', log: true } }))).toThrow(
    'it must be positive',
  );
  expect(() => lineChart(chart({ series: series([[0, 1]], 1) }))).toThrow('"FID" is on axis 1; there is only axis 0');
  expect(() => lineChart(chart({ series: [...series([[0, 1]]), ...series([[0, 2]])] }))).toThrow(
    'two lines are named "FID"',
  );
  expect(() => lineChart(chart({ references: [{ name: 'r', value: Number.NaN }] }))).toThrow('reference "r" is NaN');
  expect(() => lineChart(chart({ y: [] }))).toThrow('0 y axes');
  expect(() => lineChart(chart({ width: 0.5 }))).toThrow(/width is 0.5/);
});
