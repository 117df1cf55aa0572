import { extent } from 'd3-array';
import type { EChartsCoreOption } from 'echarts/core';
import type { Axis, LineChart, Series } from './chart.js';
import { FONT_FAMILY, textWidth } from './text.js';

const COOL = ['#1b5fa6', '#0a8f8f', '#5a4fcf', '#3a7d34'];
const WARM = ['#cc4e00', '#a3195b', '#b8860b', '#7a3b2e'];
const INK = '#222222';
const [FONT, TITLE, SUBTITLE] = [19, 27, 18];
const [MARGIN, ICON, ITEM_GAP] = [28, 44, 28];

// Legend icons of lines without markers: a stroke of 44 × 3, whole, dashed or dotted.
const strokes = (length: number, ...starts: number[]) =>
  `path://${starts.map((x) => `M${x} 0h${length}v3h-${length}z`).join('')}`;
const [SOLID, DASHED, DOTTED] = [strokes(44, 0), strokes(11, 0, 16, 33), strokes(3, 0, 8, 16, 24, 32, 41)];

const hasMarkers = ({ points, markers = points.length <= 40 }: Series): boolean => markers;

/** The chart in the words of the plotting library. */
export function chartOption(chart: LineChart, width: number): EChartsCoreOption {
  const { title, subtitle, x, y, series, references = [] } = chart;
  const colors = colorsOf(chart);
  const names = [...series, ...references].map(({ name }) => name);
  const titleHeight = TITLE * 1.3 + (subtitle ? subtitle.split('\n').length * SUBTITLE * 1.45 : 0);
  const legendTop = MARGIN + titleHeight + 8;
  const plotTop = legendTop + legendLines(names, width - 2 * MARGIN) * FONT * 1.75 + 12;
  const ends = extent(series.flatMap(({ points }) => points.map(([value]) => value))) as [number, number];
  const drawn = [
    ...series.flatMap(({ points, axis = 0 }) => points.map(([, value]) => ({ axis, value }))),
    ...references.map(({ value, axis = 0 }) => ({ axis, value })),
  ];
  const extents = y.map((_, i) => extent(drawn.filter(({ axis }) => axis === i).map(({ value }) => value)));

  return {
    animation: false,
    backgroundColor: '#ffffff',
    textStyle: { fontFamily: FONT_FAMILY, fontSize: FONT, color: INK },
    title: {
      text: title,
      subtext: subtitle ?? '',
      left: MARGIN,
      top: MARGIN - 8,
      padding: 0,
      itemGap: 8,
      textStyle: { fontSize: TITLE, fontWeight: 'bold', color: INK },
      subtextStyle: { fontSize: SUBTITLE, color: '#555555', lineHeight: SUBTITLE * 1.4 },
    },
    legend: {
      left: MARGIN,
      right: MARGIN,
      top: legendTop,
      padding: 0,
      itemWidth: ICON,
      itemGap: ITEM_GAP,
      textStyle: { fontSize: FONT, color: INK },
      data: [
        ...series.map((one) => ({ name: one.name, ...(hasMarkers(one) ? {} : { icon: one.dash ? DASHED : SOLID }) })),
        ...references.map(({ name }) => ({ name, icon: DOTTED })),
      ],
    },
    grid: { left: MARGIN, right: MARGIN, top: plotTop, bottom: MARGIN - 6, outerBoundsMode: 'same' },
    xAxis: {
      ...axis(x, ends),
      nameGap: 40,
      splitNumber: 8,
    },
    yAxis: y.map((yAxis, i) => ({
      ...axis(yAxis, extents[i] as Extent, y.length > 1 ? colors.axis[i] : INK),
      position: yAxis.side ?? (i === 0 ? 'left' : y[0]?.side === 'right' ? 'left' : 'right'),
      nameRotate: 90,
      nameGap: 16,
      alignTicks: i === 1 && !y.some(({ log }) => log),
      splitLine: { show: i === 0, lineStyle: { color: '#e3e3e3' } },
    })),
    series: [
      ...series.map((one, i) => line(one, colors.series[i] as string)),
      ...references.map(({ name, value, axis: index = 0 }, i) => ({
        type: 'line',
        name,
        yAxisIndex: index,
        symbol: 'none',
        data: ends.map((end) => [end, value]),
        color: colors.references[i],
        lineStyle: { width: 2, type: [3, 5] },
      })),
    ],
  };
}

function line(one: Series, color: string) {
  const { name, points, axis: index = 0, dash, opacity = 1 } = one;
  return {
    type: 'line',
    name,
    yAxisIndex: index,
    data: points.map((point) => [...point]),
    color,
    symbol: hasMarkers(one) ? (index === 0 ? 'circle' : 'rect') : 'none',
    symbolSize: 10,
    showAllSymbol: true,
    lineStyle: { width: opacity < 1 ? 1.5 : 3, type: dash ? [11, 7] : 'solid', opacity },
    itemStyle: { opacity },
    z: opacity < 1 ? 2 : 3,
  };
}

/** A number of a logarithmic axis: from 0.001 to 10,000 as it is, else with a power of ten. */
export function numberText(value: number): string {
  const [digits, power] = value.toExponential(3).split('e') as [string, string];
  if (value >= 9.99e-4 && value < 1e5) return Number(value.toPrecision(4)).toLocaleString('en');
  const raised = [...power.replace('+', '')].map((sign) => '⁻⁰¹²³⁴⁵⁶⁷⁸⁹'['-0123456789'.indexOf(sign)]).join('');
  return Number(digits) === 1 ? `10${raised}` : `${Number(digits)}·10${raised}`;
}

type Extent = readonly [number, number] | readonly [undefined, undefined];

function axis({ label, log, min, max }: Axis, [low, high]: Extent, color = INK) {
  // Left to itself a logarithmic axis runs from one power of ten to another, however little of it the data fill.
  const [first, last] =
    log && low !== undefined ? [min ?? roundDown(low), max ?? roundUp(Math.max(high, 1.001 * low))] : [min, max];
  return {
    type: log ? 'log' : 'value',
    scale: true,
    name: label,
    nameLocation: 'middle',
    nameTextStyle: { fontSize: FONT, fontWeight: 'bold', color },
    axisLabel: { fontSize: FONT - 1, margin: 11, color, ...(log ? { formatter: numberText } : {}) },
    axisLine: { show: true, onZero: false, lineStyle: { color, width: 1.5 } },
    axisTick: { show: true },
    splitLine: { lineStyle: { color: '#e3e3e3' } },
    ...(log ? { minorTick: { show: true, splitNumber: 9 } } : {}),
    ...(first === undefined ? {} : { min: first }),
    ...(last === undefined ? {} : { max: last }),
  };
}

/** The nearest of 1, 2, 5, 10, 20, 50, … (and of their fractions) that is not above `value`, or not below it. */
const roundDown = (value: number): number => Math.max(...round(value).filter((number) => number <= value));
const roundUp = (value: number): number => Math.min(...round(value).filter((number) => number >= value));
const round = (value: number): number[] => {
  const power = Math.floor(Math.log10(value));
  return [power - 1, power, power + 1].flatMap((k) => ['1', '2', '5'].map((digit) => Number(`${digit}e${k}`)));
};

function colorsOf({ y, series, references = [] }: LineChart) {
  const used = [0, 0];
  const palettes = y.length === 1 ? [[0, 1, 2, 3].flatMap((i) => [COOL[i], WARM[i]] as string[])] : [COOL, WARM];
  const next = (index: number): string => {
    const palette = palettes[index] as string[];
    const position = used[index] as number;
    used[index] = position + 1;
    return palette[position % palette.length] as string;
  };
  const drawn = series.map(({ axis: index = 0, color }) => color ?? next(index));
  return {
    series: drawn,
    axis: y.map((_, i) => drawn[series.findIndex(({ axis: index = 0 }) => index === i)] ?? INK),
    references: references.map(({ axis: index = 0 }) => (y.length === 1 ? '#666666' : next(index))),
  };
}

/** How many lines the legend takes: its items flow from left to right. */
function legendLines(names: readonly string[], width: number): number {
  let [lines, x] = [1, 0];
  for (const name of names) {
    const item = ICON + 8 + textWidth(name, { size: FONT }) + ITEM_GAP;
    if (x > 0 && x + item > width) [lines, x] = [lines + 1, 0];
    x += item;
  }
  return lines;
}
