import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

// Each package's public names. A change here is a change for users: it needs a changeset.
const packages = readdirSync(fileURLToPath(new URL('../packages', import.meta.url)));

test.each(packages)('@logsnr/%s', async (name) => {
  const surface = await import(`../packages/${name}/src/index.ts`);
  expect(Object.keys(surface).sort()).toMatchSnapshot();
});

test('@logsnr/data/node', async () => {
  const surface = await import('../packages/data/src/node.js');
  expect(Object.keys(surface).sort()).toMatchSnapshot();
});

test('@logsnr/samplers/testing', async () => {
  const surface = await import('../packages/samplers/src/testing.js');
  expect(Object.keys(surface).sort()).toMatchSnapshot();
});
