import { describe, expect, test } from 'vitest';
import { parseRows } from './rows.js';

const row = {
  name: 'a',
  scheduler: 'DDIM',
  trainSteps: 1000,
  steps: 10,
  betaStart: 1e-4,
  betaEnd: 0.02,
  prediction: 'epsilon',
  spacing: 'default',
  setAlphaToOne: true,
  thresholding: null,
  startIndex: null,
  noiseSeed: null,
};
const parse = (changes: object) => parseRows(JSON.stringify([row, { ...row, ...changes }]));

test('rows keep what else they hold', () => {
  expect(parse({ peer_sum: 3 })).toEqual([row, { ...row, peer_sum: 3 }]);
});

describe('a wrong row is named with its field, what it is and what it may be', () => {
  test.each([
    [{ scheduler: 'PNDM' }, 'row 1 ("a"): scheduler is "PNDM"; it must be "DDIM", "DDPM", "Euler", "EulerAncestral", '],
    [{ steps: undefined }, 'row 1 ("a"): steps is missing; it must be an integer of at least 1.'],
    [{ steps: '10' }, 'row 1 ("a"): steps is "10"; it must be an integer of at least 1.'],
    [{ steps: 1001 }, 'row 1 ("a"): steps is 1001; trainSteps is 1000, so it must be at most 1000.'],
    [{ scheduler: 'UniPC', steps: 1000 }, 'steps is 1000; trainSteps is 1000, so it must be at most 999.'],
    [{ name: 3 }, 'row 1: name is 3; it must be a string.'],
    [{ betaStart: 0 }, 'betaStart is 0; it must be a number above 0 and below 1.'],
    [{ prediction: 'x' }, 'prediction is "x"; it must be "epsilon", "v".'],
    [{ spacing: 'karras' }, 'spacing is "karras"; DDIM has only "default".'],
    [{ setAlphaToOne: null }, 'setAlphaToOne is null; it must be true or false.'],
    [
      { thresholding: { ratio: 2, maxValue: 1 } },
      'thresholding is {"ratio":2,"maxValue":1}; it must be null or { ratio: ',
    ],
    [{ startIndex: 10 }, 'startIndex is 10; it must be below steps, 10: it is an index of the grid.'],
    [{ scheduler: 'DDPM' }, 'noiseSeed is null; DDPM draws noise, so it must be an integer.'],
    [{ noiseSeed: -1 }, 'noiseSeed is -1; it must be null or an integer of at least 0.'],
  ])('%j', (changes, message) => {
    expect(() => parse(changes)).toThrow(message);
  });

  test('and so is a file that holds none', () => {
    expect(() => parseRows('{"name": 1}')).toThrow('the file holds an object; it must hold an array of rows.');
    expect(() => parseRows('[3]')).toThrow('row 0 is a number; a row is an object.');
    expect(() => parseRows('[')).toThrow(/the file is not JSON: /);
  });
});
