// A service worker that keeps all files of a build, so that the page works offline once it has loaded.
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Plugin } from 'vite';

/** Writes `sw.js` with the names of all files of the build, those of `folder` (the public ones) included. */
export function offline(folder: string): Plugin {
  return {
    name: 'offline',
    apply: 'build',
    generateBundle: {
      order: 'post',
      handler(_options, bundle) {
        const laid = (readdirSync(folder, { recursive: true }) as string[]).filter((file) =>
          statSync(join(folder, file)).isFile(),
        );
        const hash = createHash('sha256');
        for (const file of laid) hash.update(readFileSync(join(folder, file)));
        const files = [...Object.keys(bundle).filter((file) => !file.endsWith('.map')), ...laid].sort();
        const version = hash.update(files.join()).digest('hex').slice(0, 16);
        this.emitFile({ type: 'asset', fileName: 'sw.js', source: worker(`logsnr-${version}`, ['./', ...files]) });
      },
    },
  };
}

/** Files of a build never change under their names but for the page itself and what lies beside it: a new version takes all anew. */
const worker = (cache: string, files: readonly string[]): string => `// Keeps the files of the page.
const CACHE = ${JSON.stringify(cache)};
const FILES = ${JSON.stringify(files)};
addEventListener('install', (event) => {
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(FILES)).then(() => skipWaiting()));
});
addEventListener('activate', (event) => {
  const old = (name) => name.startsWith('logsnr-') && name !== CACHE;
  event.waitUntil(
    caches.keys()
      .then((names) => Promise.all(names.filter(old).map((name) => caches.delete(name))))
      .then(() => clients.claim()),
  );
});
addEventListener('fetch', (event) => {
  if (event.request.method !== 'GET' || new URL(event.request.url).origin !== location.origin) return;
  const navigates = event.request.mode === 'navigate';
  const kept = caches.match(event.request, { cacheName: CACHE, ignoreSearch: navigates, ignoreVary: true });
  event.respondWith(kept.then((answer) => answer ?? fetch(event.request)));
});
`;
