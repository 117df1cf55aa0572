// The samplers and guidance methods that the page offers, by the names that `logsnr sample` has for them.
import type { GuidanceChoice } from '@logsnr/guidance';
import {
  ancestral,
  ddim,
  ddpm,
  deis,
  dpmSolverPP2M,
  dpmSolverPP3M,
  edmStochastic,
  heun,
  pndm,
  type Sampler,
  saSolver,
  unipc,
} from '@logsnr/samplers';

interface Method<T> {
  /** What the page calls it. */
  readonly label: string;
  readonly make: T;
}

export const SAMPLERS: Readonly<Record<string, Method<() => unknown>>> = {
  ancestral: { label: 'Ancestral (Algorithm 2)', make: () => ancestral({ v: 0.3 }) },
  ddim: { label: 'DDIM', make: () => ddim() },
  ddpm: { label: 'DDPM', make: () => ddpm() },
  'dpm-solver-pp-2m': { label: 'DPM-Solver++(2M)', make: () => dpmSolverPP2M() },
  'dpm-solver-pp-3m': { label: 'DPM-Solver++(3M)', make: () => dpmSolverPP3M() },
  unipc: { label: 'UniPC', make: () => unipc() },
  deis: { label: 'DEIS', make: () => deis() },
  heun: { label: 'Heun (two calls a step)', make: () => heun() },
  pndm: { label: 'PNDM', make: () => pndm() },
  'edm-stochastic': { label: 'EDM, stochastic', make: () => edmStochastic() },
  'sa-solver': { label: 'SA-Solver', make: () => saSolver() },
};

/** The sampler of a name in {@link SAMPLERS}. */
export const samplerOf = (name: string): Sampler<unknown> => methodOf(SAMPLERS, name).make() as Sampler<unknown>;

export const GUIDANCE: Readonly<Record<string, Method<(w: number) => GuidanceChoice>>> = {
  'classifier-free': { label: 'Classifier-free', make: (w) => ({ method: 'classifier-free', w }) },
  interval: {
    label: 'Classifier-free in an interval of σ',
    make: (w) => ({ method: 'classifier-free', w: { w, sigma: [0.28, 2.9] } }),
  },
  rising: {
    label: 'Classifier-free, w rising',
    make: (w) => ({ method: 'classifier-free', w: { w, rising: 'linear' } }),
  },
  rescale: {
    label: 'Rescaled (φ = 0.7)',
    make: (w) => ({ method: 'classifier-free', w, rule: { rescale: 0.7 } }),
  },
  apg: { label: 'APG (η = 0)', make: (w) => ({ method: 'classifier-free', w, rule: { apg: { eta: 0 } } }) },
  tcfg: { label: 'TCFG', make: (w) => ({ method: 'classifier-free', w, rule: 'tcfg' }) },
  'cfg-zero-star': {
    label: 'CFG-Zero*',
    make: (w) => ({ method: 'classifier-free', w, rule: { cfgZeroStar: {} } }),
  },
  'cfg-plus-plus': { label: 'CFG++', make: (w) => ({ method: 'cfg-plus-plus', w }) },
};

/** The choice of a name in {@link GUIDANCE} at w. */
export const guidanceAt = (name: string, w: number): GuidanceChoice => methodOf(GUIDANCE, name).make(w);

function methodOf<T>(methods: Readonly<Record<string, Method<T>>>, name: string): Method<T> {
  const method = methods[name];
  if (!method) throw new RangeError(`there is no method "${name}"; there are ${Object.keys(methods).join(', ')}.`);
  return method;
}
