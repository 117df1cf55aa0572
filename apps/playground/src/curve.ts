// The loss curve as SVG.

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP] = [640, 260, 48, 36, 10];

/** Draws the losses of steps 1, 2, …: points, and their exponential average as a line. */
export function drawCurve(svg: SVGSVGElement, losses: readonly number[]): void {
  const top = Math.max(...losses) * 1.05;
  const x = (step: number) => LEFT + ((WIDTH - LEFT - 10) * (step - 1)) / Math.max(1, losses.length - 1);
  const y = (loss: number) => HEIGHT - BOTTOM - ((HEIGHT - BOTTOM - TOP) * loss) / top;
  // So many points as there are pixels, at most.
  const every = Math.max(1, Math.ceil(losses.length / 600));
  const points = losses.map((loss, i) => ({ step: i + 1, loss })).filter((_, i) => i % every === 0);
  let [sum, weight] = [0, 0];
  const line = losses.map((loss, i) => {
    [sum, weight] = [0.95 * sum + loss, 0.95 * weight + 1];
    return `${x(i + 1).toFixed(1)},${y(sum / weight).toFixed(1)}`;
  });
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((share) => (share * top) / 1.05);
  svg.replaceChildren(
    ...ticks.flatMap((loss) => [
      make('line', { x1: LEFT, x2: WIDTH - 10, y1: y(loss), y2: y(loss) }),
      make('text', { x: LEFT - 6, y: y(loss) + 4, 'text-anchor': 'end' }, loss.toPrecision(2)),
    ]),
    make('text', { x: LEFT, y: HEIGHT - 18, 'text-anchor': 'middle' }, '1'),
    make('text', { x: WIDTH - 10, y: HEIGHT - 18, 'text-anchor': 'end' }, String(losses.length)),
    make('text', { x: (WIDTH + LEFT) / 2, y: HEIGHT - 4, 'text-anchor': 'middle' }, 'step'),
    ...points.map(({ step, loss }) => make('circle', { cx: x(step), cy: y(loss), r: 2.5 })),
    make('polyline', { points: line.filter((_, i) => i % every === 0 || i === line.length - 1).join(' ') }),
  );
  const last = losses.at(-1) as number;
  svg.setAttribute(
    'aria-label',
    `Loss of ${losses.length} steps, from ${losses[0]?.toFixed(3)} at the first to ${last.toFixed(3)} at the last`,
  );
}

function make(name: string, attributes: Readonly<Record<string, string | number>>, text = ''): SVGElement {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  element.textContent = text;
  return element;
}
