/**
 * The name of a member of an archive below its root: no leading `/` or `./`, no trailing slash, no dots. As in a chroot,
 * nothing leads out of the root.
 */
export function cleanMemberName(name: string): string {
  if (!/(^|\/)\.{0,2}(\/|$)/.test(name)) return name;
  const parts: string[] = [];
  for (const part of name.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}
