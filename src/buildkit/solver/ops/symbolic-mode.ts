// `--chmod` in words, as chmod(1) takes them: `u=rwX,go=rX`.

import { BuildError } from '../../contract/errors';

const clause = /^([ugoa]*)((?:[-+=][rwxXst]*)+)$/;
const who: Readonly<Record<string, number>> = { u: 0o4700, g: 0o2070, o: 0o1007, a: 0o7777 };
const bits: Readonly<Record<string, number>> = { r: 0o444, w: 0o222, x: 0o111, s: 0o6000, t: 0o1000 };

/** The change of a mode. Octal numbers replace it. Throws InvalidArgument for what is neither. */
export function parseMode(text: string): (mode: number, isDirectory: boolean) => number {
  if (/^[0-7]{1,5}$/.test(text) && parseInt(text, 8) <= 0o7777) {
    const fixed = parseInt(text, 8);
    return () => fixed;
  }
  const changes = text.split(',').map((part) => {
    const [, users = '', actions] = clause.exec(part) ?? [];
    if (actions === undefined || text.length > 256)
      throw new BuildError('InvalidArgument', `invalid chmod parameter: '${text.slice(0, 256)}'`);
    const mask = users === '' ? 0o7777 : Array.from(users).reduce((sum, user) => sum | (who[user] ?? 0), 0);
    return { mask, actions: actions.match(/[-+=][rwxXst]*/g) ?? [] };
  });
  return (mode, isDirectory) => {
    let now = mode;
    for (const { mask, actions } of changes) {
      for (const action of actions) {
        const executable = isDirectory || (now & 0o111) !== 0 ? 0o111 : 0;
        const wanted = Array.from(action.slice(1)).reduce(
          (sum, letter) => sum | (letter === 'X' ? executable : (bits[letter] ?? 0)),
          0,
        );
        if (action.startsWith('+')) now |= wanted & mask;
        else if (action.startsWith('-')) now &= ~(wanted & mask);
        else now = (now & ~(mask & 0o777)) | (wanted & mask);
      }
    }
    return now;
  };
}
