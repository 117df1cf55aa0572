// The playground in a real browser, end to end: pixels against those of Node, every tab, links, offline, keyboard.
// Needs Chromium (CHROMIUM=<path>, else where systems have it). `--quick` leaves out what takes long; `--shots <folder>`
// says where the screenshots go.
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { fold, key } from '@logsnr/core';
import { classifierFree } from '@logsnr/guidance';
import { loadModel, type ModelSpec } from '@logsnr/pretrained';
import { ancestral, sample } from '@logsnr/samplers';
import { arctan, grid } from '@logsnr/schedules';
import { useBackend } from '@logsnr/tensorflow';
import { decode } from 'fast-png';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { build, preview } from 'vite';
import { findChromium } from './find-chromium.js';

declare global {
  var playground: { weights: number[]; labels: number[]; shape: number[]; images: Float32Array[] } | undefined;
}

const { quick, shots } = parseArgs({
  options: { quick: { type: 'boolean', default: false }, shots: { type: 'string' } },
}).values;
const root = fileURLToPath(new URL('.', import.meta.url));
const pictures = shots ?? join(root, 'out/screenshots');
const LINK =
  '#digits?class=7&w=2&guidance=classifier-free&sampler=ancestral&steps=8&seed=1&count=4&rows=two&weights=pretrained';
/** A machine under load is slow. */
const PATIENCE = 180_000;

const executablePath = findChromium();
if (executablePath === undefined) {
  console.log('skipped: there is no Chromium here; install it, or set CHROMIUM to its path.');
  process.exit(0);
}

const began = performance.now();
let failed = 0;
function check(what: string, holds: boolean, detail: unknown = ''): void {
  if (!holds) failed++;
  const time = ((performance.now() - began) / 1000).toFixed(1).padStart(6);
  console.log(`${time} s  ${holds ? 'ok    ' : 'FAILED'}  ${what}${detail === '' ? '' : `: ${detail}`}`);
}

/** What `logsnr sample` would draw here, rows at these weights. */
async function drawnByNode(
  folder: string,
  weights: readonly number[],
): Promise<{ backend: string; rows: Float32Array[] }> {
  const { backend } = await useBackend({ quiet: true });
  const record = JSON.parse(readFileSync(join(folder, 'model.json'), 'utf8'));
  const loaded = await loadModel(record as ModelSpec<'unet'>, join(folder, 'model.safetensors'), { as: 'logsnr' });
  const condition = loaded.conditioning.of([7, 7, 7, 7]);
  const rows = weights.map((w) => {
    const images = sample({
      model: classifierFree(loaded.model, loaded.conditioning, w),
      ...{ condition, sampler: ancestral({ v: 0.3 }), lambdas: grid(arctan(record.schedule), 8) },
      ...{ shape: [4, ...loaded.image], key: fold(key(1), 4) },
    });
    const values = images.dataSync<'float32'>();
    images.dispose();
    return values;
  });
  condition.dispose();
  loaded.dispose();
  return { backend, rows };
}

const complaints: string[] = [];
/** A page whose complaints are collected. */
async function opened(context: BrowserContext, address: string): Promise<Page> {
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(`${message.type()}: ${message.text()}`);
  });
  page.on('pageerror', (error) => complaints.push(`error: ${error.message}`));
  page.on('requestfailed', (request) => complaints.push(`no answer: ${request.url()}`));
  await page.goto(address);
  return page;
}

const textIn = async (page: Page, selector: string): Promise<string> =>
  (await page.locator(selector).textContent()) ?? '';

/** Waits until the status begins so; what it says. */
async function status(page: Page, start: string): Promise<string> {
  const reached = page.waitForFunction(
    (start) =>
      document.body.getAttribute('aria-busy') === 'false' &&
      document.querySelector('#status')?.textContent?.startsWith(start),
    start,
  );
  await reached.catch(async (error) => {
    const said = `${await textIn(page, '#status')} ${await textIn(page, '#error')}`;
    throw new Error(`the page does not come to "${start}"; it says "${said}". ${complaints.join('; ')}`, {
      cause: error,
    });
  });
  return textIn(page, '#status');
}

const imagesOf = (page: Page): Promise<number[][]> =>
  page.evaluate(() => (globalThis.playground?.images ?? []).map((row) => Array.from(row)));

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  a.length === b.length
    ? Array.from(a).reduce((most, value, i) => Math.max(most, Math.abs(value - (b[i] as number))), 0)
    : Number.POSITIVE_INFINITY;

async function samples(page: Page, folder: string): Promise<void> {
  const time = await status(page, 'Drew 8 images');
  check('digits are drawn, and the time is shown', /an image, .* a step\.$/.test(time), time);
  const [seen, { backend, rows }] = [await imagesOf(page), await drawnByNode(folder, [0, 2])];
  const error = Math.max(...rows.map((row, i) => furthest(row, seen[i] ?? [])));
  const apart = furthest(seen[0] ?? [], seen[1] ?? []);
  check(`pixels are those of Node (${backend}) within 1e-3`, error < 1e-3, `${error.toExponential(1)} at most`);
  check('guidance changes them', apart > 0.1, `${apart.toFixed(2)} at most`);
  // The canvas shows these numbers: the middle of each value's square of 4 × 4 pixels.
  const url = await page.evaluate(() => document.querySelector<HTMLCanvasElement>('#digits')?.toDataURL() ?? '');
  const { data, width, channels } = decode(Buffer.from(url.split(',')[1] as string, 'base64'));
  const at = (row: number, image: number, y: number, x: number) =>
    data[channels * ((row * 116 + 4 * y + 1) * width + image * 116 + 4 * x + 1)] as number;
  const shown = rows.map((row, k) =>
    Array.from(row, (_, i) => at(k, Math.floor(i / 784), Math.floor((i % 784) / 28), i % 28)),
  );
  const bytes = rows.map((row) => Array.from(row, (v) => (Math.min(1, Math.max(-1, v)) + 1) * 127.5));
  const off = Math.max(...bytes.map((row, i) => furthest(row, shown[i] ?? [])));
  check('the canvas shows them', off < 0.5 + 0.128, `${off.toFixed(2)} of 255 at most`);
}

async function saves(page: Page): Promise<void> {
  const [file] = await Promise.all([page.waitForEvent('download'), page.click('#png')]);
  const { width, height } = decode(readFileSync(await file.path()));
  check('a PNG is saved', width === 460 && height === 228, `${file.suggestedFilename()}, ${width} × ${height}`);
}

async function steady(page: Page): Promise<void> {
  const tensors = () => page.evaluate(() => Number(document.body.dataset.tensors));
  const before = await tensors();
  await page.click('form[name=digits] .main');
  await page.waitForFunction(() => document.body.getAttribute('aria-busy') === 'true');
  await status(page, 'Drew');
  const after = await tensors();
  check('a drawing leaves no tensor behind', before > 0 && before === after, `${before} before, ${after} after`);
}

async function stops(page: Page): Promise<void> {
  await page.locator('form[name=digits] [name=steps]').fill('64');
  await page.waitForFunction(() => document.body.getAttribute('aria-busy') === 'true');
  await page.click('form[name=digits] .stop');
  check('a drawing can be stopped', (await status(page, 'Stopped')) === 'Stopped.');
  await page.locator('form[name=digits] [name=steps]').fill('8');
  await status(page, 'Drew');
}

async function mixture(page: Page): Promise<void> {
  await page.click('#tab-plane');
  const said = await status(page, 'Drew 900 points');
  const colours = await page.evaluate(() =>
    ['#plane-plain', '#plane-guided'].map((id) => {
      const canvas = document.querySelector<HTMLCanvasElement>(id) as HTMLCanvasElement;
      const context = canvas.getContext('2d') as CanvasRenderingContext2D;
      return new Set(new Uint32Array(context.getImageData(0, 0, 480, 480).data.buffer)).size;
    }),
  );
  check(
    'the mixture is drawn',
    colours.every((count) => count > 500),
    `${said} ${colours.join(' and ')} colours`,
  );
}

async function trains(page: Page): Promise<void> {
  await page.click('#tab-training');
  await page.selectOption('form[name=training] [name=length]', '10-steps');
  await page.selectOption('form[name=training] [name=batch]', '16');
  await page.click('form[name=training] .main');
  const said = await status(page, 'Trained after 10 steps');
  const losses: number[] = JSON.parse((await page.evaluate(() => document.body.dataset.losses)) ?? '[]');
  const mean = (some: number[]) => some.reduce((sum, loss) => sum + loss, 0) / some.length;
  const [first, last] = [mean(losses.slice(0, 3)), mean(losses.slice(-3))];
  check(
    'ten steps of training lower the loss',
    losses.length === 10 && last < first,
    `${first.toFixed(3)} to ${last.toFixed(3)}. ${said}`,
  );
  check('the loss curve is drawn', (await page.locator('#curve circle').count()) === 10);
  await page.click('#tab-digits');
  await page.selectOption('form[name=digits] [name=weights]', 'trained');
  await status(page, 'Drew');
  check('the weights trained in the page draw', (await textIn(page, '#error')) === '');
  await page.selectOption('form[name=digits] [name=weights]', 'pretrained');
  await status(page, 'Drew');
}

async function links(context: BrowserContext, page: Page, address: string): Promise<void> {
  await page.locator('form[name=digits] [name=w]').fill('3');
  await status(page, 'Drew');
  const hash = await page.evaluate(() => location.hash);
  const other = await opened(context, `${address}${hash}`);
  await status(other, 'Drew');
  const [mine, theirs] = [await imagesOf(page), await imagesOf(other)];
  const same = await other.evaluate(() => location.hash);
  check(
    'a link opens the page as it was',
    hash.includes('w=3') && same === hash && furthest(mine.flat(), theirs.flat()) === 0,
    hash,
  );
  await other.goto(`${address}#digits?w=99&size=3&steps=8&count=1&rows=one`);
  await status(other, 'Drew 1 images');
  const refused = await textIn(other, '#error');
  check(
    'what a link may not say is named',
    refused.includes('w cannot be "99"') && refused.includes('"size"'),
    refused,
  );
  await other.close();
}

async function keyboard(page: Page): Promise<void> {
  await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur());
  await page.mouse.click(2, 2);
  const order: string[] = [];
  for (let i = 0; i < 15; i++) {
    await page.keyboard.press('Tab');
    order.push(
      await page.evaluate(() => {
        const at = document.activeElement as HTMLInputElement;
        const ring = getComputedStyle(at).outlineStyle;
        return `${at.name || at.id || at.textContent}${ring === 'none' ? ' (not visible)' : ''}`;
      }),
    );
  }
  const wanted = 'backend tab-digits class w guidance sampler steps seed count rows weights Draw shown png';
  const got = order.join(' ');
  check('Tab goes through the controls in order', got.startsWith(wanted), got);
  await page.locator('#tab-digits').focus();
  await page.keyboard.press('ArrowRight');
  check('arrows go from tab to tab', await page.locator('#panel-plane').isVisible());
  await page.keyboard.press('ArrowLeft');
  const nameless = await page.evaluate(
    () =>
      [...document.querySelectorAll<HTMLInputElement>('input, select')].filter((each) => each.labels?.length !== 1)
        .length,
  );
  check('every control has a label', nameless === 0, nameless);
}

async function offline(context: BrowserContext, page: Page): Promise<void> {
  await page.evaluate(() => navigator.serviceWorker.ready);
  await context.setOffline(true);
  await page.reload();
  check('the page works offline', (await status(page, 'Drew')).startsWith('Drew'));
  await context.setOffline(false);
}

async function screenshots(browser: Browser, address: string): Promise<void> {
  mkdirSync(pictures, { recursive: true });
  for (const colorScheme of ['light', 'dark'] as const)
    for (const [size, viewport] of [
      ['wide', { width: 1200, height: 900 }],
      ['narrow', { width: 390, height: 844 }],
    ] as const) {
      if (size === 'narrow' && colorScheme === 'light') continue;
      const context = await browser.newContext({ colorScheme, viewport });
      const page = await opened(context, `${address}#digits?count=10&steps=16&w=2&rows=four`);
      const shot = (name: string) =>
        page.screenshot({ path: join(pictures, `${name}-${size}-${colorScheme}.png`), fullPage: true });
      await status(page, 'Drew');
      await shot('digits');
      await page.click('#tab-plane');
      await status(page, 'Drew');
      await shot('mixture');
      if (size === 'wide') {
        await page.click('#tab-training');
        await page.selectOption('form[name=training] [name=batch]', '16');
        await page.click('form[name=training] .main');
        await status(page, 'Trained');
        await shot('training');
      }
      await context.close();
    }
  console.log(`screenshots in ${pictures}`);
}

/** The pixels by WebGL, where this Chromium has a renderer in software: its exp and the like are less exact, which a walk adds up. */
async function webgl(browser: Browser, address: string, folder: string): Promise<void> {
  const context = await browser.newContext();
  const page = await opened(context, `${address}?backend=webgl${LINK}`);
  const time = await status(page, 'Drew 8 images');
  if ((await page.evaluate(() => document.body.dataset.backend)) !== 'webgl') {
    console.log('          skipped: this Chromium has no WebGL');
  } else {
    const [seen, { rows }] = [await imagesOf(page), await drawnByNode(folder, [0, 2])];
    const error = Math.max(...rows.map((row, i) => furthest(row, seen[i] ?? [])));
    check('pixels by WebGL are those of Node within 5e-2', error < 5e-2, `${error.toExponential(1)} at most. ${time}`);
  }
  await context.close();
}

// As published, also where a test runner says otherwise.
process.env.NODE_ENV = 'production';
const outDir = join(root, 'out/e2e');
await build({ root, logLevel: 'error', build: { outDir, emptyOutDir: true } });
const server = await preview({ root, logLevel: 'error', build: { outDir }, preview: { port: 0 } });
const origin = server.resolvedUrls?.local[0] as string;
const sandbox = process.getuid?.() === 0 ? ['--no-sandbox'] : [];
const browser = await chromium.launch({ executablePath, args: [...sandbox, '--enable-unsafe-swiftshader'] });
try {
  console.log(`Chromium ${browser.version()}`);
  const context = await browser.newContext({ acceptDownloads: true, viewport: { width: 1200, height: 900 } });
  const address = `${origin}?backend=wasm`;
  const page = await opened(context, `${address}${LINK}`);
  const folder = join(outDir, 'model');
  await samples(page, folder);
  await saves(page);
  await mixture(page);
  await trains(page);
  if (!quick) {
    await steady(page);
    await stops(page);
    await links(context, page, address);
    await keyboard(page);
  }
  await offline(context, page);
  check('the console is silent', complaints.length === 0, complaints.join('; '));
  await context.close();
  if (!quick) {
    await webgl(browser, origin, folder);
    await screenshots(browser, address);
  }
} finally {
  await browser.close();
  await server.close();
}
console.log(failed === 0 ? 'all is well' : `${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
