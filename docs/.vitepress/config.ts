import { katex } from '@mdit/plugin-katex';
import { defineConfig } from 'vitepress';
import { anchorOf, repository, siteLink } from './links.js';

const pages = (folder: string, ...entries: readonly (readonly [text: string, page: string])[]) =>
  entries.map(([text, page]) => ({ text, link: `${folder}${page}` }));

export default defineConfig({
  title: 'logsnr',
  description: 'Classifier-free diffusion guidance on TensorFlow.js: mathematics, models, training and samplers.',
  base: '/logsnr/',
  lastUpdated: false,
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
          ['Guidance', 'guidance'],
          ['Samplers', 'samplers'],
          ['Metrics', 'metrics'],
          ['Security', 'security'],
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
    ],
    outline: [2, 3],
    search: { provider: 'local' },
    socialLinks: [{ icon: 'github', link: repository }],
  },
});
