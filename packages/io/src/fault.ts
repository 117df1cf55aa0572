interface Issue {
  readonly message: string;
  readonly path?: readonly { readonly key: unknown }[] | undefined;
}

/** The first fault that a schema found, in words: where, what was expected and what was given, cut to a length to read. */
export function faultOf([issue]: readonly Issue[]): string {
  const where = (issue?.path ?? []).map(({ key }) => String(key)).join('.');
  const what = (issue?.message ?? '').replace(/^Invalid [\w ]+: (\w)/, (_, first: string) => first.toLowerCase());
  return `${where === '' ? '' : `${where}: `}${what}`.slice(0, 200);
}
