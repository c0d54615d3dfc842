// A whole screen that is drawn again and again until a key or a signal ends it. The terminal is left as it was found.

import { withoutStyle } from './style';

const enter = '\u001b[?1049h\u001b[?25l';
const leave = '\u001b[?25h\u001b[?1049l';
const home = '\u001b[H';
const clearLine = '\u001b[K';
const clearBelow = '\u001b[J';

export interface LiveOptions {
  /** Lines of the screen, already painted; those that do not fit are left out. */
  draw: () => readonly string[];
  /** A key that is none of those that end it; it is drawn again afterwards. */
  onKey: (key: string) => void;
  /** Between two looks, in ms. */
  intervalMs: number;
  /** Fetches what is drawn next. What it throws ends the screen. */
  refresh: () => Promise<void>;
}

/** Resolves when the person has ended it (q, Ctrl-C, a signal). Rejects with what `refresh` threw. Needs a terminal on both sides. */
export async function liveScreen({ draw, onKey, intervalMs, refresh }: LiveOptions): Promise<void> {
  const { stdin, stdout } = process;
  const over = withResolvers();
  let timer: NodeJS.Timeout | undefined;
  /** Resolves with true when the time is over. */
  const pause = (): Promise<true> =>
    new Promise((resolve) => {
      timer = setTimeout(resolve, intervalMs, true);
    });
  const show = (): void => {
    const rows = draw()
      .slice(0, stdout.rows)
      .map((line) => `${cut(line, stdout.columns)}${clearLine}`);
    stdout.write(`${home}${rows.join('\r\n')}${clearBelow}`);
  };
  const onData = (data: Buffer): void => {
    const key = data.toString();
    if (key === 'q' || key === '\u0003' || key === '\u0004') {
      over.resolve(undefined);
      return;
    }
    onKey(key);
    show();
  };
  const onSignal = (): void => over.resolve(undefined);
  const restore = (): void => void stdout.write(leave);
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  process.on('exit', restore);
  for (const signal of signals) process.on(signal, onSignal);
  stdin.setRawMode(true).on('data', onData);
  stdout.on('resize', show);
  stdout.write(enter);
  try {
    do {
      await Promise.race([refresh(), over.promise]);
      show();
    } while (await Promise.race([pause(), over.promise]));
  } finally {
    clearTimeout(timer); // else the program would live on until then
    stdout.off('resize', show);
    stdin.off('data', onData).setRawMode(false).pause();
    for (const signal of signals) process.off(signal, onSignal);
    process.off('exit', restore);
    restore();
  }
}

/** At most `columns` characters wide; a painted line that is too long loses its paint. */
export function cut(line: string, columns: number): string {
  const bare = withoutStyle(line);
  return bare.length <= columns ? line : bare.slice(0, columns);
}

function withResolvers(): { promise: Promise<undefined>; resolve: (value: undefined) => void } {
  let resolve: (value: undefined) => void = () => undefined;
  const promise = new Promise<undefined>((settle) => (resolve = settle));
  return { promise, resolve };
}
