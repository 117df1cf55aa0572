import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { defineConfig } from 'tsup';

// What this package takes from TensorFlow.js' own packages: the backend of tfjs-node-gpu, without its start-up, its install
// script and the packages that it brings along, and the binding's C++ sources; the gradients of tfjs-core, which that one
// has only as a module for bundlers. Their licence is Apache-2.0, as this package's; the notices in the files are kept.
const out = join(import.meta.dirname, 'out');
const manifest = createRequire(import.meta.url).resolve('@tensorflow/tfjs-node-gpu/package.json');

export default defineConfig({
  entry: { backend: join(import.meta.dirname, 'backend.ts'), gradients: join(import.meta.dirname, 'gradients.ts') },
  outDir: out,
  format: 'cjs',
  target: 'node20',
  platform: 'node',
  config: false,
  tsconfig: join(import.meta.dirname, '../tsconfig.json'),
  noExternal: [/^@tensorflow\/tfjs-(node-gpu|core)\/dist\//],
  clean: true,
  silent: true,
  esbuildPlugins: [
    {
      name: 'core',
      // Of the union they use what is in tfjs-core.
      setup: (build) =>
        build.onResolve({ filter: /^@tensorflow\/tfjs(-core)?$/ }, () => ({
          path: '@tensorflow/tfjs-core',
          external: true,
        })),
    },
  ],
  esbuildOptions(options) {
    options.legalComments = 'inline';
  },
  async onSuccess() {
    const { name, version, license } = JSON.parse(readFileSync(manifest, 'utf8'));
    writeFileSync(join(out, 'origin.json'), `${JSON.stringify({ name, version, license }, null, 2)}\n`);
    cpSync(join(dirname(manifest), 'binding'), join(out, 'binding'), { recursive: true });
  },
});
