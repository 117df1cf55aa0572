export { ancestral, ddim } from './ancestral.js';
export { type Compile, type CompiledSampler, compileSampler, type DrawOptions } from './compile-sampler.js';
export { dpmSolverPP2M, dpmSolverPP2S, dpmSolverPP3M } from './dpm-solver-pp.js';
export { heun } from './heun.js';
export { deis, exponentialAB, lms, type Past } from './multistep.js';
export { type SampleOptions, sample, trajectory } from './sample.js';
export { type Eps, modelCalls, type Sampler, splitOf, splitTerms } from './sampler.js';
export { type UniPCOptions, unipc } from './unipc.js';
export { type Step, type Walk, walk } from './walk.js';
