/** Nodes and weights of Gauss–Legendre quadrature with 8 points on [−1, 1], exact for polynomials of degree 15. */
const legendre = gaussLegendre(8);

function gaussLegendre(points: number): [node: number, weight: number][] {
  return Array.from({ length: points }, (_, i) => {
    let x = Math.cos((Math.PI * (i + 0.75)) / (points + 0.5));
    let slope = 1;
    for (let newton = 0; newton < 10; newton++) {
      let [before, value] = [1, x];
      for (let n = 2; n <= points; n++) [before, value] = [value, ((2 * n - 1) * x * value - (n - 1) * before) / n];
      slope = (points * (x * value - before)) / (x * x - 1);
      x -= value / slope;
    }
    return [x, 2 / ((1 - x * x) * slope * slope)];
  });
}

/** ∫_a^b f, to float64 for functions that change over lengths of 1 and more, such as e^{λ/2} times a polynomial. */
export function integrate(f: (at: number) => number, a: number, b: number): number {
  const panels = Math.max(1, Math.ceil(Math.abs(b - a)));
  const half = (b - a) / panels / 2;
  let sum = 0;
  for (let panel = 0; panel < panels; panel++) {
    const middle = a + (2 * panel + 1) * half;
    for (const [node, weight] of legendre) sum += weight * f(middle + half * node);
  }
  return sum * half;
}

/** The Lagrange polynomial of node `j` at `x`: 1 there and 0 at the other nodes. */
export const lagrange = (nodes: readonly number[], j: number, x: number): number =>
  nodes.reduce((product, node, i) => (i === j ? product : (product * (x - node)) / ((nodes[j] as number) - node)), 1);
