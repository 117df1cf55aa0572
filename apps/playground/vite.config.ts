import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { assets } from './assets.js';
import { offline } from './offline.js';

const packages = fileURLToPath(new URL('../../packages', import.meta.url));
const publicDir = fileURLToPath(new URL('./out/public', import.meta.url));

const tensorflow = /node_modules\/@tensorflow\/(tfjs-[\w-]+)\//;

export default defineConfig({
  root: fileURLToPath(new URL('.', import.meta.url)),
  // Relative, so that the page runs under any address.
  base: './',
  publicDir,
  resolve: {
    // The sources, so that nothing needs to be built first.
    alias: [{ find: /^@logsnr\/([a-z]+)$/, replacement: `${packages}/$1/src/index.ts` }],
    dedupe: ['@tensorflow/tfjs-core'],
  },
  build: {
    target: 'es2022',
    // The backends are one file each, loaded where it is the one.
    chunkSizeWarningLimit: 2000,
    rolldownOptions: {
      output: { codeSplitting: { groups: [{ test: tensorflow, name: (id) => tensorflow.exec(id)?.[1] ?? null }] } },
    },
  },
  plugins: [assets(publicDir), offline(publicDir)],
});
