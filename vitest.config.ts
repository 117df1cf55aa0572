import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const packages = fileURLToPath(new URL('./packages', import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: /^@logsnr\/([a-z]+)\/(node|testing)$/, replacement: `${packages}/$1/src/$2.ts` },
      { find: /^@logsnr\/([a-z]+)$/, replacement: `${packages}/$1/src/index.ts` },
    ],
  },
  test: {
    include: [
      'packages/*/{src,test}/**/*.test.ts',
      'examples/*/**/*.test.ts',
      'test/**/*.test.ts',
      'bench/*.test.ts',
      'parity/*.test.ts',
    ],
    // TensorFlow is a native library: a process of its own, loaded once and shared by all files a worker runs.
    pool: 'forks',
    isolate: false,
    maxWorkers: 2,
    setupFiles: ['./test/setup.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
  },
});
