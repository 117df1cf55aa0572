import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { module } from './compose.js';
import { lambdaFeatures } from './lambda-features.js';
import { linear } from './layers.js';
import type { Module } from './module.js';
import { silu } from './ops/silu.js';

/** An embedding of λ, [n] → [n, size]: its `features` sines and cosines, a linear map, SiLU and a linear map. */
export const lambdaEmbedding = (features: number, size: number): Module<Tensor1D, Tensor2D> =>
  module(
    { linear1: linear(features, size), linear2: linear(size, size) },
    ({ linear1, linear2 }, lambda: Tensor1D) => linear2(silu(linear1(lambdaFeatures(lambda, features)))) as Tensor2D,
  );
