import { existsSync } from 'node:fs';
import { defineConfig } from 'tsup';

// Shared by every package. JavaScript only: the declarations come from tsc (see each package's `build` script).
export default defineConfig({
  entry: ['src/index.ts', 'src/node.ts', 'src/testing.ts', 'src/bin.ts', 'src/image-thread.ts'].filter((file) =>
    existsSync(file),
  ),
  format: 'esm',
  target: 'node20',
  platform: 'neutral',
  external: [/^node:/, /^[^./]/],
  clean: true,
  sourcemap: true,
});
