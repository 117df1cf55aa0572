export { ancestral, ddim } from './ancestral.js';
export { type Compile, type CompiledSampler, compileSampler, type DrawOptions } from './compile-sampler.js';
export { type SampleOptions, sample, trajectory } from './sample.js';
export { type Eps, modelCalls, type Sampler, splitTerms } from './sampler.js';
export { type Step, type Walk, walk } from './walk.js';
