// Tabs by the ARIA pattern: one of them is in the tab order, and the arrow keys go from one to the next.
import { element } from './page.js';

/** Prepares the tabs. `onShow` is told the name of one that comes to be shown. */
export function prepareTabs(onShow: (name: string) => void): { show(name: string): void; shown(): string } {
  const tabs = [...element('#tabs').children] as HTMLButtonElement[];
  const nameOf = (tab: HTMLElement) => tab.id.replace('tab-', '');
  const show = (name: string) => {
    for (const tab of tabs) {
      const own = nameOf(tab) === name;
      tab.setAttribute('aria-selected', String(own));
      tab.tabIndex = own ? 0 : -1;
      element(`#panel-${nameOf(tab)}`).hidden = !own;
    }
    onShow(name);
  };
  for (const [i, tab] of tabs.entries()) {
    tab.addEventListener('click', () => show(nameOf(tab)));
    tab.addEventListener('keydown', ({ key }) => {
      const next = { ArrowRight: i + 1, ArrowLeft: i - 1, Home: 0, End: -1 }[key];
      if (next === undefined) return;
      const there = tabs.at(next % tabs.length) as HTMLButtonElement;
      there.focus();
      show(nameOf(there));
    });
  }
  return { show, shown: () => nameOf(tabs.find((tab) => tab.ariaSelected === 'true') as HTMLElement) };
}
