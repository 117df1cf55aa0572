import { cpSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { defineConfig } from 'tsup';

const stock = dirname(createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu/package.json'));

// The stock package's own modules become part of this one, as it must not be a dependency: see @logsnr/tensorflow.
export default defineConfig({
  entry: ['src/index.ts'],
  format: 'esm',
  target: 'node20',
  platform: 'node',
  noExternal: [/^@tensorflow\/tfjs-node-gpu/, 'google-protobuf', 'progress'],
  // They are CommonJS.
  banner: { js: "import { createRequire } from 'node:module';\nconst require = createRequire(import.meta.url);" },
  clean: true,
  sourcemap: true,
  esbuildOptions(options) {
    options.legalComments = 'inline';
  },
  async onSuccess() {
    // Its declarations name each other without extensions, as those of CommonJS may.
    cpSync(`${stock}/dist`, 'dist/stock', {
      recursive: true,
      filter: (file) => !/\.js$|_test\.d\.ts$|run_tests/.test(file),
    });
    writeFileSync('dist/stock/package.json', '{ "type": "commonjs" }\n');
    writeFileSync('dist/index.d.ts', "export * from './stock/index.js';\n");
  },
});
