// The pages link to each other and to the rest of the repository as they do on GitHub.
import { posix } from 'node:path';
import { slug } from 'github-slugger';

export const repository = 'https://github.com/logsnr/logsnr';

/** A heading's anchor, as GitHub makes it. */
export const anchorOf = (heading: string): string => slug(heading);

/**
 * The link as the site has it. What is outside of docs/ is not on the site: the link goes to the repository.
 * @param page the page with the link, within docs/
 */
export function siteLink(link: string, page: string): string {
  if (/^(?:[a-z][a-z+.-]*:|\/|#)/i.test(link)) return link;
  const target = posix.join('docs', posix.dirname(page), link);
  return target.startsWith('docs/') ? link : `${repository}/blob/main/${target}`;
}
