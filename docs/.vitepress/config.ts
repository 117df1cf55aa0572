import { existsSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { katex } from '@mdit/plugin-katex';
import { defineConfig } from 'vitepress';
import { anchorOf, repository, siteLink } from './links.js';

const pages = (folder: string, ...entries: readonly (readonly [text: string, page: string])[]) =>
  entries.map(([text, page]) => ({ text, link: `${folder}${page}` }));

// What typedoc wrote of the public surface. `pnpm docs:build` has it written; `pages` alone builds the site without it.
const api = fileURLToPath(new URL('../api', import.meta.url));
const references = existsSync(api) ? (readdirSync(api, { recursive: true }) as string[]) : [];
const modules = references
  .filter((file) => file.endsWith('.md') && file !== 'index.md')
  .map((file) => file.replaceAll('\\', '/').replace(/\.md$/, ''))
  .sort();

export default defineConfig({
  title: 'logsnr',
  description: 'Classifier-free diffusion guidance on TensorFlow.js: mathematics, models, training and samplers.',
  base: '/logsnr/',
  lastUpdated: false,
  // A page of the API reference is one chunk.
  vite: { build: { chunkSizeWarningLimit: 4096 } },
  markdown: {
    // Braces are those of formulas, as on GitHub.
    attrs: { disable: true },
    anchor: { slugify: anchorOf },
    config(md) {
      // The same markdown-it with types of its own. KaTeX' braces are no expressions of Vue.
      katex(md as never, { transformer: (html) => html.replace(/^<[a-z]+/, '$& v-pre') });
      md.core.ruler.push('repository-links', ({ tokens, env }) => {
        for (const token of tokens.flatMap(({ children }) => children ?? [])) {
          const link = token.type === 'link_open' && token.attrGet('href');
          if (link) token.attrSet('href', siteLink(link, env.relativePath));
        }
      });
    },
  },
  themeConfig: {
    nav: [
      { text: 'Tutorials', link: '/tutorials/' },
      { text: 'Mathematics', link: '/math/' },
      { text: 'Guides', link: '/training' },
      { text: 'Figures', link: '/benchmarks' },
      ...(modules.length > 0 ? [{ text: 'API', link: '/api/' }] : []),
    ],
    sidebar: [
      {
        text: 'Tutorials',
        link: '/tutorials/',
        items: pages(
          '/tutorials/',
          ['A first guided sample', 'first-sample'],
          ['Your own model', 'own-model'],
          ['A model from PyTorch', 'pytorch'],
          ['A conditioning of your own', 'conditioning'],
          ['A sampler of your own', 'sampler'],
          ['A guidance rule of your own', 'guidance-rule'],
          ['Training on your images', 'training'],
          ['Honest evaluation', 'evaluation'],
          ['Several machines', 'several-machines'],
          ['From diffusers', 'from-diffusers'],
        ),
      },
      {
        text: 'Mathematics',
        link: '/math/',
        items: pages(
          '/math/',
          ['Log-SNR and the forward process', 'forward'],
          ['Predictions', 'predictions'],
          ['Training objective', 'training'],
          ['The null condition', 'null-condition'],
          ['Guidance', 'guidance'],
          ['Samplers', 'samplers'],
          ['Metrics', 'metrics'],
        ),
      },
      {
        text: 'Guides',
        items: pages(
          '/',
          ['Training', 'training'],
          ['Networks', 'networks'],
          ['Checkpoints', 'checkpoints'],
          ['ONNX', 'onnx'],
          ['ONNX', 'onnx'],
          ['Guidance', 'guidance'],
          ['Samplers', 'samplers'],
          ['Metrics', 'metrics'],
          ['Security', 'security'],
          ['Playground', 'playground'],
        ),
      },
      {
        text: 'Figures',
        items: pages(
          '/',
          ['Benchmarks', 'benchmarks'],
          ['Parity with diffusers', 'parity'],
          ['What compile takes', 'compile-ops'],
        ),
      },
      ...(modules.length > 0
        ? [
            {
              text: 'API',
              link: '/api/',
              collapsed: true,
              items: pages(
                '/api/',
                ...modules.map((name) => [`@logsnr/${name.replace(/\/src|\/index$/g, '')}`, name] as const),
              ),
            },
          ]
        : []),
    ],
    outline: [2, 3],
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: repository }],
  },
});
