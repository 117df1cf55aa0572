// Starts the page: tabs, settings in the address, the backend, the model.
import { free } from '@logsnr/core';
import type { Parameters } from '@logsnr/nn';
import { hashOf, readHash } from './address.js';
import { BACKENDS, type BackendName, startBackend } from './backend.js';
import { digitsTab } from './digits-tab.js';
import type { ImageModel } from './drawing.js';
import { stopJob } from './job.js';
import { type Kind, loadModel, withWeights } from './model.js';
import { element, form, say, sayError } from './page.js';
import { planeTab } from './plane-tab.js';
import { prepareTabs } from './tabs.js';
import { trainingTab } from './training-tab.js';

let kind: Kind;
let trained: Parameters | undefined;
const models: Record<string, ImageModel | undefined> = {};

const runs: Readonly<Record<string, () => Promise<void>>> = {
  digits: digitsTab(() => models),
  plane: planeTab(),
  training: trainingTab(
    () => kind,
    (weights) => {
      if (trained) free(trained);
      trained = weights;
      models.trained = withWeights(kind, weights);
      element<HTMLOptionElement>('option[value=trained]').disabled = false;
    },
  ),
};
const forms = Object.keys(runs).map(form);
/** Whether runs may begin: the backend and the model are there. */
let started = false;

/** Draws at once in the tabs where that takes a moment; a training is begun by its button alone. */
const draw = (name: string) => {
  if (started && name !== 'training') void runs[name]?.();
};
const showValues = (own: HTMLFormElement) => {
  for (const value of own.querySelectorAll('.value'))
    value.textContent = value.closest('label')?.querySelector('input')?.value ?? '';
};
const drawnTabs = new Set<string>();
const open = (name: string) => {
  history.replaceState(null, '', hashOf(form(name)));
  if (!drawnTabs.has(name)) draw(name);
  if (started) drawnTabs.add(name);
};
const tabs = prepareTabs(open);

for (const own of forms) {
  own.addEventListener('input', () => showValues(own));
  own.addEventListener('change', () => {
    history.replaceState(null, '', hashOf(own));
    sayError('');
    if (own.checkValidity()) draw(own.name);
  });
  element('.stop', own).addEventListener('click', stopJob);
}
for (const button of document.querySelectorAll('.link'))
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(location.href).then(
      () => say('The link is copied: it opens the page with these settings.'),
      () => say(`The link with these settings: ${location.href}`),
    );
  });

/** Takes the settings of the address. */
function follow(): void {
  const { form: own = forms[0] as HTMLFormElement, refused } = readHash(location.hash, forms);
  for (const each of forms) showValues(each);
  sayError(refused.length > 0 ? `The link did not fit: ${refused.join('; ')}. The defaults stand in for them.` : '');
  drawnTabs.delete(own.name);
  tabs.show(own.name);
}
window.addEventListener('hashchange', follow);

function nameBackend(name: BackendName): void {
  const select = element<HTMLSelectElement>('#backend');
  for (const [value, label] of Object.entries(BACKENDS)) select.add(new Option(label, value));
  select.value = name;
  select.addEventListener('change', () => {
    const address = new URL(location.href);
    address.searchParams.set('backend', select.value);
    location.assign(address);
  });
}

async function start(): Promise<void> {
  follow();
  const asked = new URLSearchParams(location.search).get('backend');
  const [{ name, reason }, loaded] = await startBackend(asked).then(
    async (backend) => [backend, await loadModel()] as const,
  );
  nameBackend(name);
  kind = loaded.kind;
  models.pretrained = withWeights(kind, loaded.weights);
  document.body.dataset.backend = name;
  say(
    `Ready: ${BACKENDS[name]}${reason ? `, as ${reason}` : ''}; a model of ${kind.size.toLocaleString('en')} weights.`,
  );
  started = true;
  open(tabs.shown());
}

start().catch((error: Error) => {
  say('The page could not start.');
  sayError(error.message);
});

if (import.meta.env.PROD && 'serviceWorker' in navigator) void navigator.serviceWorker.register('./sw.js');
