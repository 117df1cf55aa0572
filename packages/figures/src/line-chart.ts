import { LineChart as LinePlot } from 'echarts/charts';
import { GridComponent, LegendComponent, TitleComponent } from 'echarts/components';
import { init, setPlatformAPI, use } from 'echarts/core';
import { SVGRenderer } from 'echarts/renderers';
import { blank, overlay } from './canvas.js';
import { checkChart, type LineChart } from './chart.js';
import { chartOption } from './chart-option.js';
import { encodePng } from './png.js';
import { rasterize, textWidth } from './text.js';

/**
 * Lines over one x axis and one or two y axes, as a PNG: with two, the left one's lines are blue to green and the right
 * one's orange to red, and each axis wears the colour of its first line. Axes cover the data and the reference lines.
 * @throws RangeError on no series, a series without points, a number that is not finite (or not positive on a logarithmic
 * axis), or an axis that does not exist; the message names the series and the point.
 */
export function lineChart(chart: LineChart): Uint8Array {
  checkChart(chart);
  const { width = 1280, height = 800 } = chart;
  use([LinePlot, GridComponent, LegendComponent, TitleComponent, SVGRenderer]);
  // With no browser to ask, the width of a text is that of the font it will be drawn in.
  setPlatformAPI({ measureText: measure as never });
  const plot = init(null, null, { renderer: 'svg', ssr: true, width, height });
  try {
    plot.setOption(chartOption(chart, width));
    const canvas = blank(width, height);
    overlay(canvas, rasterize(plot.renderToSVGString()));
    return encodePng(canvas);
  } finally {
    plot.dispose();
  }
}

function measure(text: string, cssFont = '12px'): { width: number } {
  return {
    width: textWidth(text, { size: Number(/([\d.]+)px/.exec(cssFont)?.[1] ?? 12), bold: /bold/.test(cssFont) }),
  };
}
