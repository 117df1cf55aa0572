// Every relative link in the repository's Markdown leads to a file that is there, and every #anchor to a heading.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import GithubSlugger from 'github-slugger';
import MarkdownIt from 'markdown-it';
import { describe, expect, test } from 'vitest';
import { siteLink } from '../docs/.vitepress/links.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const markdown = new MarkdownIt({ html: true });
const list = ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'];
const files = execFileSync('git', list, { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((file) => file && existsSync(`${root}/${file}`));
const tokensOf = (text: string) => markdown.parse(text, {});

/** The targets of the links and images in a text. */
function linksIn(text: string): string[] {
  const inline = tokensOf(text).flatMap(({ children }) => children ?? []);
  return inline.flatMap((token) => token.attrGet('href') ?? token.attrGet('src') ?? []);
}

/** The anchors of a text's headings, as GitHub and the site make them. */
function anchorsIn(text: string): Set<string> {
  const [tokens, slugger] = [tokensOf(text), new GithubSlugger()];
  const headings = tokens.flatMap(({ type }, i) => (type === 'heading_open' ? [tokens[i + 1]?.children ?? []] : []));
  const words = headings.map((parts) => parts.map(({ type, content }) => (type === 'image' ? '' : content)).join(''));
  return new Set(words.map((heading) => slugger.slug(heading)));
}

/** What is wrong with the links of a file. */
function broken(file: string, text: string): string[] {
  return linksIn(text).flatMap((link) => {
    if (/^[a-z][a-z+.-]*:/i.test(link)) return [];
    const [path = '', anchor] = decodeURI(link).split('#');
    const target = path === '' ? file : posix.join(posix.dirname(file), path);
    if (target.startsWith('..') || !existsSync(`${root}/${target}`)) return [`${link}: there is no ${target}`];
    if (anchor === undefined) return [];
    const there = path === '' ? text : readFileSync(`${root}/${target}`, 'utf8');
    return anchorsIn(there).has(anchor) ? [] : [`${link}: ${target} has no heading #${anchor}`];
  });
}

test('there is Markdown, with links', () => {
  expect(files).toContain('README.md');
  expect(linksIn(readFileSync(`${root}/README.md`, 'utf8'))).toContain('docs/training.md');
});

test.each(files)('%s: links lead somewhere', (file) => {
  expect(broken(file, readFileSync(`${root}/${file}`, 'utf8'))).toEqual([]);
});

describe('a link that leads nowhere is found', () => {
  test.each([
    ['[a](docs/nowhere.md)', 'docs/nowhere.md: there is no docs/nowhere.md'],
    ['![a](docs/images/nowhere.png)', 'docs/images/nowhere.png: there is no docs/images/nowhere.png'],
    ['[a](docs/training.md#nowhere)', 'docs/training.md#nowhere: docs/training.md has no heading #nowhere'],
    ['# One\n\n[a](#two)', '#two: README.md has no heading #two'],
    ['[a](../elsewhere.md)', '../elsewhere.md: there is no ../elsewhere.md'],
  ])('%s', (text, what) => {
    expect(broken('README.md', text)).toEqual([what]);
  });

  test('and one that leads somewhere is not', () => {
    const text =
      '# What `compile` takes, twice\n\n# A\n\n# A\n\n[a](#what-compile-takes-twice) [b](#a-1) [c](https://example.org/#x)';
    expect(broken('README.md', text)).toEqual([]);
  });
});

test('on the site, links stay among its pages or go to the repository', () => {
  expect(siteLink('samplers.md#editing', 'guidance.md')).toBe('samplers.md#editing');
  expect(siteLink('../guidance.md', 'tutorials/index.md')).toBe('../guidance.md');
  expect(siteLink('../packages/core', 'guidance.md')).toBe('https://github.com/logsnr/logsnr/blob/main/packages/core');
  expect(siteLink('../../README.md#packages', 'tutorials/index.md')).toBe(
    'https://github.com/logsnr/logsnr/blob/main/README.md#packages',
  );
  expect(siteLink('https://arxiv.org/abs/2207.12598', 'guidance.md')).toBe('https://arxiv.org/abs/2207.12598');
});
