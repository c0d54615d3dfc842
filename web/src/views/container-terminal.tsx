// A terminal in a container: a process of its own (exec), or the container's main one (attach).

import { useEffect, useRef, useState } from 'preact/hooks';
import type { FitAddon } from '@xterm/addon-fit';
import type { Terminal } from '@xterm/xterm';
import type { ContainerInspect, ExecInspect } from '../../../src/docker/types';
import { docker, get, part, query, send, socketUrl } from '../client';
import { words } from '../logic/run-line';
import { Button, copyText, Empty } from '../parts/ui';
import { attempt, readOnly } from '../store';

const anyShell = 'command -v bash >/dev/null 2>&1 && exec bash || exec sh';
type Way = 'exec' | 'attach';

export function TerminalPart({ inspect }: { inspect: ContainerInspect }) {
  const [way, setWay] = useState<Way>('exec');
  const [command, setCommand] = useState('');
  const [user, setUser] = useState('');
  const [session, setSession] = useState(0);
  const [isOver, setOver] = useState('');
  const { State: state, Config } = inspect;
  if (readOnly.value) {
    return (
      <Empty icon="file" title="No terminal here">
        <p>This page is for looking only.</p>
      </Empty>
    );
  }
  if (!state.Running || state.Paused) {
    return (
      <Empty icon="play" title={state.Paused ? 'The container is paused' : 'The container does not run'}>
        <p>A terminal needs it running.</p>
      </Empty>
    );
  }
  const open = (): void => {
    setOver('');
    setSession(session + 1);
  };
  return (
    <div class="terminal-part">
      <form
        class="tools"
        onSubmit={(event) => {
          event.preventDefault();
          open();
        }}
      >
        <div class="choice" role="group" aria-label="Way in">
          <button type="button" aria-pressed={way === 'exec'} onClick={() => setWay('exec')}>
            A shell
          </button>
          <button type="button" aria-pressed={way === 'attach'} onClick={() => setWay('attach')}>
            Attach
          </button>
        </div>
        {way === 'exec' && (
          <>
            <input
              class="grow"
              aria-label="Command"
              placeholder="bash, else sh"
              spellcheck={false}
              value={command}
              onInput={({ currentTarget }) => setCommand(currentTarget.value)}
            />
            <input
              aria-label="User"
              placeholder={Config.User || 'root'}
              spellcheck={false}
              value={user}
              onInput={({ currentTarget }) => setUser(currentTarget.value)}
            />
          </>
        )}
        <Button submit kind={session === 0 || isOver !== '' ? 'primary' : 'plain'}>
          {session === 0 ? 'Open' : 'Open again'}
        </Button>
        {isOver !== '' && <span class="muted">{isOver}</span>}
      </form>
      {session === 0 ? (
        <Empty icon="containers" title="A terminal in the container">
          <p>A shell is a process beside what runs there. Attach is the terminal of the container itself.</p>
        </Empty>
      ) : (
        <Screen key={session} inspect={inspect} way={way} command={command} user={user} onEnd={setOver} />
      )}
    </div>
  );
}

interface ScreenProps {
  inspect: ContainerInspect;
  way: Way;
  command: string;
  user: string;
  onEnd: (how: string) => void;
}

function Screen({ inspect, way, command, user, onEnd }: ScreenProps) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (element === null) return undefined;
    const end = new AbortController();
    void attempt(async () => {
      const { terminal, fit } = await openTerminal(element);
      end.signal.addEventListener('abort', () => terminal.dispose());
      if (end.signal.aborted) return;
      const target =
        way === 'exec' ? await execTarget(inspect.Id, command, user, terminal) : attachTarget(inspect);
      connect(terminal, fit, element, target, end.signal, onEnd);
    }).then((went) => {
      if (!went) onEnd('It could not be opened.');
    });
    return () => end.abort();
  }, []);
  return <div class="terminal-screen" ref={box} />;
}

interface Target {
  url: string;
  hasTerminal: boolean;
  resize: (rows: number, columns: number) => Promise<unknown>;
  ended: () => Promise<string>;
}

async function execTarget(
  id: string,
  command: string,
  user: string,
  { rows, cols }: Terminal,
): Promise<Target> {
  const { Id } = await send<{ Id: string }>('POST', docker(`/containers/${part(id)}/exec`), {
    AttachStdin: true,
    AttachStdout: true,
    AttachStderr: true,
    Tty: true,
    User: user.trim(),
    Env: ['TERM=xterm-256color'],
    Cmd: command.trim() === '' ? ['sh', '-c', anyShell] : words(command),
  });
  return {
    url: `/exec/${Id}/ws${query({ tty: 1, h: rows, w: cols })}`,
    hasTerminal: true,
    resize: (h, w) => send('POST', docker(`/exec/${Id}/resize${query({ h, w })}`)),
    ended: async () =>
      `It ended with ${(await get<ExecInspect>(docker(`/exec/${Id}/json`))).ExitCode ?? '?'}.`,
  };
}

function attachTarget({ Id, Config }: ContainerInspect): Target {
  const streams = { stream: 1, stdin: Config.OpenStdin ? 1 : 0, stdout: 1, stderr: 1, logs: 1 };
  return {
    url: docker(`/containers/${part(Id)}/attach/ws${query(streams)}`),
    hasTerminal: Config.Tty,
    resize: (h, w) =>
      Config.Tty
        ? send('POST', docker(`/containers/${part(Id)}/resize${query({ h, w })}`))
        : Promise.resolve(),
    ended: () => Promise.resolve('It is not attached any more.'),
  };
}

/** The terminal makes style sheets, which the page's policy lets in by a nonce. */
async function openTerminal(element: HTMLElement): Promise<{ terminal: Terminal; fit: FitAddon }> {
  const [{ Terminal: Made }, { FitAddon: Fit }] = await Promise.all([
    import('@xterm/xterm'),
    import('@xterm/addon-fit'),
    import('@xterm/xterm/css/xterm.css'),
  ]);
  allowStyles();
  const terminal = new Made({
    cursorBlink: true,
    fontFamily: 'ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace',
    fontSize: 13,
    scrollback: 10_000,
    screenReaderMode: false,
    // what a guest writes may look like one thing and lead to another
    linkHandler: { activate: () => undefined },
    theme: {
      background: '#0e1518',
      foreground: '#dce6e8',
      cursor: '#7fd6e0',
      selectionBackground: '#2c5a62',
    },
  });
  const fit = new Fit();
  terminal.loadAddon(fit);
  terminal.open(element);
  fit.fit();
  // Ctrl-Shift-C and -V, as terminals have it; paste itself is the browser's
  terminal.attachCustomKeyEventHandler((event) => {
    if (event.type !== 'keydown' || !event.ctrlKey || !event.shiftKey || event.key.toLowerCase() !== 'c')
      return true;
    event.preventDefault();
    if (terminal.hasSelection())
      void attempt(() => copyText(terminal.getSelection()).then(() => terminal.focus()));
    return false;
  });
  terminal.focus();
  return { terminal, fit };
}

let stylesAllowed = false;
function allowStyles(): void {
  if (stylesAllowed) return;
  stylesAllowed = true;
  const nonce = document.querySelector<HTMLMetaElement>('meta[name=style-nonce]')?.content ?? '';
  /* eslint-disable @typescript-eslint/no-deprecated -- one overload of it is; this is all of them */
  const create = document.createElement.bind(document);
  document.createElement = (name: string, options?: ElementCreationOptions) => {
    const element = create(name, options);
    if (name === 'style') element.nonce = nonce;
    if (name === 'span') element.setAttribute = setStyleAsProperty;
    return element;
  };
  /* eslint-enable @typescript-eslint/no-deprecated */
}

/** What is selected and colours of 24 bits the terminal paints by attributes, which the policy refuses. The same as properties it lets in. */
function setStyleAsProperty(this: HTMLElement, name: string, value: string): void {
  if (name === 'style') this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
}

function connect(
  terminal: Terminal,
  fit: FitAddon,
  element: HTMLElement,
  target: Target,
  signal: AbortSignal,
  onEnd: (how: string) => void,
): void {
  const socket = new WebSocket(socketUrl(target.url));
  socket.binaryType = 'arraybuffer';
  const encoder = new TextEncoder();
  terminal.onData((data) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(encoder.encode(data));
  });
  terminal.onBinary((data) => {
    if (socket.readyState === WebSocket.OPEN)
      socket.send(Uint8Array.from(data, (character) => character.charCodeAt(0)));
  });
  const resize = (): void => void target.resize(terminal.rows, terminal.cols).catch(() => undefined);
  terminal.onResize(resize);
  socket.onopen = resize;
  socket.onmessage = ({ data }) => {
    const bytes = new Uint8Array(data as ArrayBuffer);
    // without a terminal a line ends without going back to its begin
    if (target.hasTerminal) terminal.write(bytes);
    else terminal.write(new TextDecoder().decode(bytes).replace(/\r?\n/g, '\r\n'));
  };
  socket.onclose = () => {
    if (signal.aborted) return;
    terminal.options.cursorBlink = false;
    target.ended().then(onEnd, () => onEnd('The connection is over.'));
  };
  const observer = new ResizeObserver(() => {
    if (element.clientHeight > 0) fit.fit();
  });
  observer.observe(element);
  signal.addEventListener('abort', () => {
    observer.disconnect();
    socket.close();
  });
}
