import { expect, test } from 'vitest';
import * as pretrained from './index.js';

test('exports', () => {
  expect(Object.keys(pretrained).sort()).toEqual(['loadClassifier', 'loadModel', 'loadParameters', 'saveParameters']);
});
