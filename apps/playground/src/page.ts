// The parts of the page that all tabs share.
import { memory } from '@tensorflow/tfjs-core';
import { startJob } from './job.js';

/** An element that the page has. */
export function element<T extends Element = HTMLElement>(selector: string, within: ParentNode = document): T {
  const found = within.querySelector<T>(selector);
  if (!found) throw new Error(`the page has no ${selector}.`);
  return found;
}

export const form = (name: string): HTMLFormElement => element<HTMLFormElement>(`form[name="${name}"]`);

/** The value of a control of a form. */
export const textOf = (form: HTMLFormElement, name: string): string => String(new FormData(form).get(name));
export const numberOf = (form: HTMLFormElement, name: string): number => Number(textOf(form, name));

/** Says how it stands, also to a screen reader: so not at every step. */
export function say(text: string): void {
  element('#status').textContent = text;
}

export function sayError(text: string): void {
  element('#error').textContent = text;
}

export function showProgress(done: number): void {
  element<HTMLProgressElement>('#progress').value = done;
}

export const seconds = (milliseconds: number): string =>
  milliseconds < 1000 ? `${milliseconds.toFixed(0)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;

/** Makes the form's button run its work, and its stop button stop it. */
export function onSubmit(form: HTMLFormElement, work: (signal: AbortSignal) => Promise<void>): () => Promise<void> {
  const stop = element<HTMLButtonElement>('.stop', form);
  const run = () => {
    if (!form.reportValidity()) return Promise.resolve();
    return startJob(async (signal) => {
      stop.disabled = false;
      document.body.setAttribute('aria-busy', 'true');
      try {
        await work(signal);
      } catch (error) {
        say('Stopped by an error.');
        sayError((error as Error).message);
      } finally {
        stop.disabled = true;
        document.body.setAttribute('aria-busy', 'false');
        document.body.dataset.tensors = String(memory().numTensors);
      }
    });
  };
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    sayError('');
    void run();
  });
  return run;
}

/** Fills a list of methods by their labels. */
export function fill(select: HTMLSelectElement, methods: Readonly<Record<string, { readonly label: string }>>): void {
  for (const [value, { label }] of Object.entries(methods)) select.add(new Option(label, value));
}
