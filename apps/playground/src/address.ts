// The settings of a form as the hash of the page's address, `#digits?class=7&w=2`, so that a link shares them.

/** The hash that {@link readHash} understands. */
export const hashOf = (form: HTMLFormElement): string =>
  `#${form.name}?${new URLSearchParams(new FormData(form) as unknown as Record<string, string>)}`;

type Control = HTMLInputElement | HTMLSelectElement;

/**
 * Puts the settings of a hash into the form that it names. What a control does not take is left at its default.
 * @returns the form, or undefined where the hash names none; and what was refused, in words.
 */
export function readHash(
  hash: string,
  forms: readonly HTMLFormElement[],
): { form: HTMLFormElement | undefined; refused: string[] } {
  const [name = '', query = ''] = hash.replace(/^#/, '').split('?');
  const form = forms.find((each) => each.name === name);
  const refused: string[] = [];
  form?.reset();
  for (const [setting, value] of new URLSearchParams(query)) {
    const control = form?.elements.namedItem(setting) as Control | null | undefined;
    if (!control) refused.push(`there is no setting "${setting}"`);
    else if (!takes(control, value)) refused.push(`${setting} cannot be "${value}"`);
  }
  return { form, refused };
}

/** Sets a control, or leaves it as it was where it does not take the value: a slider would move it to its end in silence. */
function takes(control: Control, value: string): boolean {
  const before = control.value;
  control.value = value;
  const same =
    control instanceof HTMLSelectElement
      ? control.selectedOptions[0]?.disabled === false
      : Number(value) === Number(control.value);
  if (same && value !== '' && control.value !== '' && control.checkValidity()) return true;
  control.value = before;
  return false;
}
