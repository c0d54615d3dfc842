// The small parts that every view is made of.

import type { ComponentChildren } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { attempt, connection, dismiss, messageOf, notices, readOnly } from '../store';

const icons = {
  overview: 'M3 3h8v8H3zM13 3h8v5h-8zM13 10h8v11h-8zM3 13h8v8H3z',
  containers: 'M3 8l9-4 9 4v8l-9 4-9-4zM3 8l9 4 9-4M12 12v8',
  images: 'M12 3l9 5-9 5-9-5zM3 12l9 5 9-5M3 16l9 5 9-5',
  builds: 'M14 6l4-3 3 3-3 4zM14 8L4 18l2 2L16 10',
  networks: 'M12 3v6M12 9H5v6M12 9h7v6M2 15h6v6H2zM16 15h6v6h-6zM9 3h6',
  volumes: 'M4 6c0-4 16-4 16 0v12c0 4-16 4-16 0zM4 6c0 4 16 4 16 0M4 12c0 4 16 4 16 0',
  pods: 'M7 3h10l5 9-5 9H7l-5-9zM9 12h6',
  vms: 'M3 4h18v12H3zM8 20h8M12 16v4',
  events: 'M3 12h4l3-8 4 16 3-8h4',
  plus: 'M12 5v14M5 12h14',
  search: 'M10 4a6 6 0 100 12 6 6 0 000-12zM15 15l5 5',
  close: 'M6 6l12 12M18 6L6 18',
  play: 'M7 4l13 8-13 8z',
  stop: 'M6 6h12v12H6z',
  pause: 'M8 5v14M16 5v14',
  restart: 'M20 12a8 8 0 11-3-6M20 3v5h-5',
  swap: 'M4 8h14M14 4l4 4-4 4M20 16H6M10 12l-4 4 4 4',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13',
  more: 'M4.5 12a.5.5 0 101 0 .5.5 0 10-1 0M11.5 12a.5.5 0 101 0 .5.5 0 10-1 0M18.5 12a.5.5 0 101 0 .5.5 0 10-1 0',
  download: 'M12 4v11M7 11l5 5 5-5M4 20h16',
  upload: 'M12 16V5M7 9l5-5 5 5M4 20h16',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  folder: 'M3 6h6l2 2h10v11H3z',
  file: 'M6 3h8l4 4v14H6zM14 3v4h4',
  up: 'M12 19V5M6 11l6-6 6 6',
  back: 'M15 5l-7 7 7 7',
  menu: 'M4 6h16M4 12h16M4 18h16',
  sun: 'M12 8a4 4 0 100 8 4 4 0 000-8zM12 2v2M12 20v2M2 12h2M20 12h2M5 5l1.5 1.5M17.5 17.5L19 19M5 19l1.5-1.5M17.5 6.5L19 5',
  moon: 'M20 14A8 8 0 0110 4a8 8 0 1010 10z',
  auto: 'M12 3a9 9 0 100 18zM12 3a9 9 0 010 18',
  leave: 'M10 4H4v16h6M15 8l4 4-4 4M19 12H9',
  warn: 'M12 4l9 16H3zM12 10v4M12 17h.01',
  check: 'M5 12l5 5 9-11',
} as const;
export type IconName = keyof typeof icons;

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true">
      <path d={icons[name]} />
    </svg>
  );
}

interface ButtonProps {
  children?: ComponentChildren;
  icon?: IconName;
  /** What it does: with an icon alone, that is its name. */
  label?: string;
  kind?: 'plain' | 'primary' | 'danger' | 'quiet';
  disabled?: boolean;
  /** Not there in a page for looking only. */
  changes?: boolean;
  /** Of one that opens something: is it open? */
  expanded?: boolean;
  onClick?: () => unknown;
  submit?: boolean;
}

/** While what it started runs it can't be pressed again. */
export function Button({
  children,
  icon,
  label,
  kind = 'plain',
  disabled,
  changes,
  expanded,
  onClick,
  submit,
}: ButtonProps) {
  const [busy, setBusy] = useState(false);
  const press = (): void => {
    const result = onClick?.();
    if (!(result instanceof Promise)) return;
    setBusy(true);
    void result.finally(() => setBusy(false));
  };
  const refused = changes === true && readOnly.value;
  return (
    <button
      type={submit === true ? 'submit' : 'button'}
      class={`button ${kind} ${children === undefined ? 'square' : ''}`}
      disabled={disabled === true || busy || refused}
      aria-busy={busy}
      aria-expanded={expanded}
      aria-label={label}
      title={refused ? 'This page is for looking only' : label}
      onClick={submit === true ? undefined : press}
    >
      {icon !== undefined && <Icon name={icon} size={16} />}
      {children !== undefined && <span>{children}</span>}
    </button>
  );
}

/** A state in a colour and in words. */
export function State({ name, text }: { name: string; text?: string | undefined }) {
  const known = [
    'running',
    'paused',
    'restarting',
    'exited',
    'dead',
    'created',
    'removing',
    'good',
    'bad',
    'warn',
    'idle',
  ];
  return (
    <span class={`state is-${known.includes(name) ? name : 'created'}`}>
      <span class="dot" aria-hidden="true" />
      {text ?? name}
    </span>
  );
}

export function Empty({
  icon,
  title,
  children,
}: {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
}) {
  return (
    <div class="empty">
      <span class="empty-icon">
        <Icon name={icon} size={28} />
      </span>
      <h2>{title}</h2>
      {children !== undefined && <div class="muted">{children}</div>}
    </div>
  );
}

export function Failure({ error, again }: { error: string; again?: () => void }) {
  return (
    <div class="failure" role="alert">
      <Icon name="warn" />
      <p>{error}</p>
      {again !== undefined && <Button onClick={again}>Try again</Button>}
    </div>
  );
}

export function Loading({ what = 'Loading' }: { what?: string }) {
  return (
    <p class="loading" role="status">
      <span class="spinner" aria-hidden="true" /> {what}…
    </p>
  );
}

export function Head({
  title,
  sub,
  back,
  children,
}: {
  title: ComponentChildren;
  sub?: ComponentChildren;
  back?: string;
  children?: ComponentChildren;
}) {
  return (
    <header class="head">
      {back !== undefined && (
        <a class="button quiet square" href={back} aria-label="Back" title="Back">
          <Icon name="back" size={16} />
        </a>
      )}
      <div class="head-text">
        <h1>{title}</h1>
        {sub !== undefined && <p class="muted">{sub}</p>}
      </div>
      <div class="head-actions">{children}</div>
    </header>
  );
}

export function SearchBox({
  value,
  onInput,
  label,
}: {
  value: string;
  onInput: (value: string) => void;
  label: string;
}) {
  return (
    <label class="search">
      <Icon name="search" size={16} />
      <input
        type="search"
        value={value}
        placeholder={label}
        aria-label={label}
        spellcheck={false}
        onInput={({ currentTarget }) => onInput(currentTarget.value)}
      />
    </label>
  );
}

/** Left and right go from tab to tab. */
export function Tabs({
  tabs,
  active,
  hrefOf,
}: {
  tabs: readonly { id: string; name: string }[];
  active: string;
  hrefOf: (id: string) => string;
}) {
  const move = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowRight' ? 1 : event.key === 'ArrowLeft' ? -1 : 0;
    if (step === 0) return;
    const next = tabs[(tabs.findIndex(({ id }) => id === active) + step + tabs.length) % tabs.length];
    if (next === undefined) return;
    event.preventDefault();
    const focus = (): void => document.querySelector<HTMLElement>('.tabs [aria-current]')?.focus();
    // the tabs are drawn anew after the address has changed
    addEventListener('hashchange', () => setTimeout(focus), { once: true });
    location.hash = hrefOf(next.id);
  };
  const row = useRef<HTMLElement>(null);
  // where there is no room for all
  useEffect(() => {
    const element = row.current;
    if (element === null) return undefined;
    const observer = new ResizeObserver(() =>
      element.querySelector('[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' }),
    );
    observer.observe(element);
    return () => observer.disconnect();
  }, [active]);
  return (
    <nav class="tabs" aria-label="Parts" ref={row} onKeyDown={move}>
      {tabs.map(({ id, name }) => (
        <a key={id} href={hrefOf(id)} {...(id === active ? { 'aria-current': 'page' as const } : {})}>
          {name}
        </a>
      ))}
    </nav>
  );
}

interface DialogProps {
  title: string;
  onClose: () => void;
  children: ComponentChildren;
  wide?: boolean;
}

export function Dialog({ title, onClose, children, wide }: DialogProps) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => element.current?.showModal(), []);
  return (
    <dialog
      ref={element}
      class={wide === true ? 'wide' : ''}
      aria-label={title}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (event.target === element.current) onClose();
      }}
    >
      <div class="dialog-box">
        <header>
          <h2>{title}</h2>
          <Button icon="close" kind="quiet" label="Close" onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}

interface AskProps {
  title: string;
  text?: ComponentChildren;
  /** Asked for a text, too. */
  field?: { label: string; value: string };
  action: string;
  danger?: boolean;
  /** Choices with their first state. */
  choices?: { id: string; label: string; value: boolean }[];
  run: (answer: { text: string; choices: Record<string, boolean> }) => Promise<unknown>;
  done?: string;
  onClose: () => void;
}

/** A question before something is done. Stays while that goes on, and when it goes wrong. */
export function Ask({ title, text, field, action, danger, choices = [], run, done, onClose }: AskProps) {
  const [value, setValue] = useState(field?.value ?? '');
  const [chosen, setChosen] = useState(
    Object.fromEntries(choices.map((choice) => [choice.id, choice.value])),
  );
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState('');
  const submit = async (): Promise<void> => {
    setBusy(true);
    setError('');
    const went = await attempt(() => run({ text: value.trim(), choices: chosen }), done, setError);
    setBusy(false);
    if (went) onClose();
  };
  return (
    <Dialog title={title} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void submit();
        }}
      >
        {text !== undefined && <div class="dialog-text">{text}</div>}
        {field !== undefined && (
          <label class="field">
            <span>{field.label}</span>
            <input
              value={value}
              autofocus
              spellcheck={false}
              onInput={({ currentTarget }) => setValue(currentTarget.value)}
            />
          </label>
        )}
        {choices.map(({ id, label }) => (
          <label key={id} class="check">
            <input
              type="checkbox"
              checked={chosen[id] ?? false}
              onChange={({ currentTarget }) => setChosen({ ...chosen, [id]: currentTarget.checked })}
            />
            <span>{label}</span>
          </label>
        ))}
        {error !== '' && <Failure error={error} />}
        <footer>
          <Button kind="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button
            submit
            kind={danger === true ? 'danger' : 'primary'}
            disabled={busy || (field !== undefined && value.trim() === '')}
          >
            {action}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {notices.value.map(({ key, level, text }) => (
        <div key={key} class={`notice is-${level}`}>
          <Icon name={level === 'good' ? 'check' : 'warn'} size={16} />
          <p>{text}</p>
          <Button icon="close" kind="quiet" label="Dismiss" onClick={() => dismiss(key)} />
        </div>
      ))}
    </div>
  );
}

export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  return (
    <Button icon="copy" label={label} onClick={() => attempt(() => copyText(text), 'Copied.')}>
      {label}
    </Button>
  );
}

/** Throws where the browser does not let it. */
export async function copyText(text: string): Promise<void> {
  // pages over HTTP have a clipboard on the loopback only
  if (isSecureContext) {
    await navigator.clipboard.writeText(text);
    return;
  }
  const area = document.createElement('textarea');
  area.value = text;
  document.body.append(area);
  area.select();
  // eslint-disable-next-line @typescript-eslint/no-deprecated -- nothing else copies without a secure context
  const copied = document.execCommand('copy');
  area.remove();
  if (!copied) throw new Error('this browser does not let the page copy');
}

/** Saved under `name`, whatever is in it. */
export function save(name: string, blob: Blob): void {
  const anchor = document.createElement('a');
  anchor.href = URL.createObjectURL(blob);
  anchor.download = name.replace(/[/\\\0]/g, '_');
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(anchor.href), 60_000);
}

/**
 * What a promise says, asked again when a key changes, `again` is called or the daemon is back; and while somebody looks `everyMs` after each answer, however
 * long that took.
 */
export function useLoad<Value>(
  load: (signal: AbortSignal) => Promise<Value>,
  keys: readonly unknown[],
  everyMs?: number,
) {
  const [state, setState] = useState<{ value?: Value; error?: string }>({});
  const [count, setCount] = useState(0);
  useEffect(() => {
    const abort = new AbortController();
    let timer: ReturnType<typeof setTimeout>;
    const later = (): void => {
      if (everyMs !== undefined && !abort.signal.aborted)
        timer = setTimeout(() => (document.hidden ? later() : ask()), everyMs);
    };
    const ask = (): void => {
      load(abort.signal)
        .then(
          (value) => {
            if (!abort.signal.aborted) setState({ value });
          },
          (error: unknown) => {
            if (!abort.signal.aborted) setState((before) => ({ ...before, error: messageOf(error) }));
          },
        )
        .finally(later);
    };
    ask();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [...keys, count, everyMs]);
  const again = (): void => setCount((before) => before + 1);
  const isOnline = connection.value === 'online';
  useEffect(() => {
    // what went wrong while the daemon was away
    if (isOnline && state.error !== undefined) again();
  }, [isOnline]);
  return { ...state, again };
}
