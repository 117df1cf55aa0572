import { expect, test } from 'vitest';
import { checkComparable, type FeatureStatistics } from './index.js';

const origin = { extractor: 'inception-2015-12-05', sha256: 'ab', resize: 'tf1-bilinear-299' };
const statistics = (changes: Partial<FeatureStatistics> = {}): FeatureStatistics => ({
  ...{ mean: Float64Array.of(0), covariance: Float64Array.of(1) },
  ...{ count: 10, origin, data: 'CIFAR-10', split: 'test', ...changes },
});

test('statistics of other data and other n compare', () => {
  checkComparable(statistics(), statistics({ count: 50_000, data: 'samples', split: null }));
});

test('those of another network, other weights or another way to resize are refused, with the reason', () => {
  const others = [
    [{ extractor: 'efficientnet' }, 'the feature network is inception-2015-12-05 for the first and efficientnet'],
    [{ sha256: 'cd' }, "the hash of the network's weights is ab for the first and cd for the second"],
    [{ resize: 'pil-bicubic-299' }, 'the way in which images were resized is tf1-bilinear-299'],
  ] as const;
  for (const [change, reason] of others)
    expect(() => checkComparable(statistics(), statistics({ origin: { ...origin, ...change } }))).toThrow(reason);
  expect(() => checkComparable(statistics(), statistics({ mean: new Float64Array(2) }))).toThrow(
    'the statistics of CIFAR-10 test (n = 10) have 1 features and the statistics of CIFAR-10 test (n = 10) 2',
  );
});

test('those that do not say what they are of need an assumption, which must fit', () => {
  const unknown = statistics({ origin: null, count: null, data: null, split: null });
  expect(() => checkComparable(statistics(), unknown)).toThrow(
    'the statistics of unnamed data do not say which network',
  );
  expect(() => checkComparable(unknown, unknown)).toThrow('do not say which network');
  checkComparable(statistics(), unknown, 'inception-2015-12-05');
  checkComparable(unknown, unknown, 'inception-2015-12-05');
  expect(() => checkComparable(unknown, statistics(), 'efficientnet')).toThrow('the feature network is efficientnet');
});
