// Whoever has this package alone can draw.
export { key } from '@logsnr/core';
export { type AdaptiveOptions, adaptive } from './adaptive.js';
export { ancestral, ddim } from './ancestral.js';
export { ancestralOf } from './ancestral-of.js';
export { type CascadeOptions, type CascadeStage, cascade, type UpsamplingStage } from './cascade.js';
export { type CompiledSampler, compileSampler, type DrawOptions } from './compile-sampler.js';
export { dpmSolver2 } from './dpm-solver.js';
export { dpmSolverPP2M, dpmSolverPP2S, dpmSolverPP3M } from './dpm-solver-pp.js';
export { type ChurnOptions, churn } from './edm-stochastic.js';
export { feynmanKac, type ParticleOptions, type ParticleSampler, type ParticleStep } from './feynman-kac.js';
export { heun } from './heun.js';
export { type InvertOptions, invert, sdedit } from './invert.js';
export { deis, exponentialAB, lms, type Past } from './multistep.js';
export { pndm } from './pndm.js';
export {
  ddpm,
  dpmSolver2Ancestral,
  dpmSolverPP2SAncestral,
  edmStochastic,
  euler,
  eulerAncestral,
} from './presets.js';
export { type RepaintOptions, repaint } from './repaint.js';
export { type RestartInterval, restart } from './restart.js';
export { type SASolverOptions, saSolver } from './sa-solver.js';
export { type SampleOptions, sample, sampleAsync, trajectory, trajectoryAsync } from './sample.js';
export { type SampleManyOptions, sampleMany } from './sample-many.js';
export { modelCalls, type Place, type Predict, predictEps, type Sampler, type StepContext } from './sampler.js';
export { type UniPCOptions, unipc } from './unipc.js';
export { type AsyncSteps, type Carried, type Step, type Steps, type Walk, walk } from './walk.js';
