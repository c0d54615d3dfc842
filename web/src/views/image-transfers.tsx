// Images come and go: pulled, loaded, searched for in the registry, pushed; with a bar for each layer.

import { useRef, useState } from 'preact/hooks';
import type { ImageInspect, ProgressLine } from '../../../src/docker/types';
import { docker, get, part, query, request, upload } from '../client';
import { bytes, clip } from '../logic/format';
import { pullNames } from '../logic/image-names';
import { Progress } from '../logic/progress';
import { Bars, follow, nothingTold, type Told } from '../parts/progress-bars';
import { Button, Dialog, Failure, Loading, SearchBox, State } from '../parts/ui';
import { attempt, messageOf, refresh } from '../store';

export function Pull({ name: first = '', onClose }: { name?: string; onClose: () => void }) {
  const [name, setName] = useState(first);
  const [busy, setBusy] = useState(false);
  const [told, setTold] = useState(nothingTold);
  const [error, setError] = useState('');
  const pull = async (): Promise<void> => {
    setBusy(true);
    setError('');
    const went = await attempt(
      async () => {
        const path = docker(`/images/create${query(pullNames(name.trim()))}`);
        await follow(await request(path, { method: 'POST' }), setTold);
      },
      `${name} is here.`,
      setError,
    );
    setBusy(false);
    refresh('images');
    if (went) onClose();
  };
  return (
    <Dialog title="Pull an image" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void pull();
        }}
      >
        <label class="field">
          <span>Name</span>
          <input
            value={name}
            autofocus
            spellcheck={false}
            placeholder="debian:12"
            disabled={busy}
            onInput={({ currentTarget }) => setName(currentTarget.value)}
          />
          <small>From Docker Hub, unless the name begins with another registry.</small>
        </label>
        {error !== '' && <Failure error={error} />}
        {busy && told.layers.length === 0 && <Loading what="Asking the registry" />}
        <Bars told={told} />
        <footer>
          <Button kind="quiet" onClick={onClose}>
            {busy ? 'Leave it running' : 'Cancel'}
          </Button>
          <Button submit kind="primary" disabled={busy || name.trim() === ''}>
            Pull
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

export function Load({ onClose }: { onClose: () => void }) {
  const [file, setFile] = useState<File>();
  const [sent, setSent] = useState<number>();
  const [told, setTold] = useState(nothingTold);
  const [error, setError] = useState('');
  const load = async (archive: File): Promise<void> => {
    setSent(0);
    setError('');
    const went = await attempt(
      async () => {
        const progress = new Progress();
        await upload(docker('/images/load'), archive, {
          method: 'POST',
          onSent: setSent,
          onLine: (line) => {
            progress.add(JSON.parse(line) as ProgressLine);
            setTold({ layers: progress.layers, text: progress.text });
          },
        });
        if (progress.error !== '') throw new Error(progress.error);
      },
      'The archive is loaded.',
      setError,
    );
    setSent(undefined);
    refresh('images');
    if (went) onClose();
  };
  return (
    <Dialog title="Load an archive" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          if (file !== undefined) void load(file);
        }}
      >
        <label class="field">
          <span>Archive of docker save</span>
          <input
            type="file"
            accept=".tar,.gz,.tgz,.xz,.zst"
            disabled={sent !== undefined}
            onChange={({ currentTarget }) => setFile(currentTarget.files?.[0])}
          />
        </label>
        {error !== '' && <Failure error={error} />}
        {sent !== undefined && file !== undefined && <Sent sent={sent} of={file.size} />}
        <Bars told={told} />
        <footer>
          <Button kind="quiet" onClick={onClose}>
            {sent === undefined ? 'Cancel' : 'Leave it running'}
          </Button>
          <Button submit kind="primary" disabled={sent !== undefined || file === undefined}>
            Load
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

/** How much of a file has gone to the daemon. */
export function Sent({ sent, of: size }: { sent: number; of: number }) {
  return (
    <p class="sent" role="status">
      <span class="meter" aria-hidden="true">
        <i style={{ width: `${size === 0 ? 100 : Math.min(100, (sent / size) * 100)}%` }} />
      </span>
      <span class="muted nowrap">
        {sent < size ? `${bytes(sent)} of ${bytes(size)} sent` : `${bytes(size)} sent`}
      </span>
    </p>
  );
}

interface Found {
  name: string;
  description: string;
  star_count: number;
  is_official: boolean;
}

export function Search({ onPull, onClose }: { onPull: (name: string) => void; onClose: () => void }) {
  const [term, setTerm] = useState('');
  const [found, setFound] = useState<Found[]>();
  const [error, setError] = useState('');
  const search = (): Promise<void> =>
    get<Found[]>(docker(`/images/search${query({ term: term.trim(), limit: 25 })}`)).then(
      (list) => {
        setFound(list);
        setError('');
      },
      (problem: unknown) => setError(messageOf(problem)),
    );
  return (
    <Dialog title="Search the registry" onClose={onClose} wide>
      <form
        class="tools"
        onSubmit={(event) => {
          event.preventDefault();
          void search();
        }}
      >
        <SearchBox value={term} onInput={setTerm} label="Name of an image" />
        <Button submit kind="primary" disabled={term.trim() === ''}>
          Search
        </Button>
      </form>
      {error !== '' && <Failure error={error} />}
      {found?.length === 0 && <p class="muted">The registry has none of that name.</p>}
      <ul class="list found">
        {(found ?? []).map(({ name, description, star_count, is_official }) => (
          <li key={name}>
            <span>
              <strong>{clip(name, 120)}</strong> {is_official && <State name="good" text="official" />}
              <br />
              <span class="muted">{clip(description)}</span>
            </span>
            <span class="facts">
              <span class="muted nowrap">{star_count} stars</span>
              <Button changes icon="download" label={`Pull ${clip(name, 80)}`} onClick={() => onPull(name)}>
                Pull
              </Button>
            </span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

export function Push({ image, onClose }: { image: ImageInspect; onClose: () => void }) {
  const tags = image.RepoTags;
  const [tag, setTag] = useState(tags[0] ?? '');
  const [told, setTold] = useState<Told>(nothingTold);
  const [error, setError] = useState('');
  const [busy, setBusy] = useState(false);
  const user = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const push = async (): Promise<void> => {
    setBusy(true);
    setError('');
    const auth = { username: user.current?.value ?? '', password: password.current?.value ?? '' };
    const { fromImage, tag: version } = pullNames(tag);
    const went = await attempt(
      async () => {
        const response = await request(
          docker(`/images/${fromImage.split('/').map(part).join('/')}/push${query({ tag: version })}`),
          {
            method: 'POST',
            headers: { 'X-Registry-Auth': base64(JSON.stringify(auth.username === '' ? {} : auth)) },
          },
        );
        await follow(response, setTold);
      },
      `${tag} is pushed.`,
      setError,
    );
    setBusy(false);
    if (went) onClose();
  };
  return (
    <Dialog title="Push to its registry" onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void push();
        }}
      >
        <label class="field">
          <span>Name</span>
          <select value={tag} onChange={({ currentTarget }) => setTag(currentTarget.value)}>
            {tags.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </label>
        <label class="field">
          <span>User of the registry</span>
          <input ref={user} autocomplete="off" />
        </label>
        <label class="field">
          <span>Password or token</span>
          <input ref={password} type="password" autocomplete="off" />
          <small>Sent with this push and kept nowhere.</small>
        </label>
        {error !== '' && <Failure error={error} />}
        <Bars told={told} />
        <footer>
          <Button kind="quiet" onClick={onClose}>
            Cancel
          </Button>
          <Button submit kind="primary" disabled={busy || tag === ''}>
            Push
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

/** As headers have it. */
function base64(text: string): string {
  const plain = btoa(String.fromCharCode(...new TextEncoder().encode(text)));
  return plain.replaceAll('+', '-').replaceAll('/', '_');
}
