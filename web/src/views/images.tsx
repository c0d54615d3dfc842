// Images: those that are here, pulled and loaded with their progress, searched for, pushed, tagged and removed; and one of them.

import { useRef, useState } from 'preact/hooks';
import type { HistoryItem, ImageInspect, ImageSummary, ProgressLine } from '../../../src/docker/types';
import { docker, get, objects, part, query, request, send } from '../client';
import { ago, bytes, clip, nameOf, shortId, timeOf } from '../logic/format';
import { Progress, type Layer } from '../logic/progress';
import { Rows } from '../parts/rows';
import { Ask, Button, Dialog, Empty, Failure, Head, Loading, SearchBox, State, useLoad } from '../parts/ui';
import { attempt, containers, go, images, link, refresh } from '../store';
import { Tree } from './container-inspect';

type Open = 'pull' | 'load' | 'search' | 'prune';

export function ImagesView() {
  const [text, setText] = useState('');
  const [open, setOpen] = useState<Open>();
  const all = images.value;
  const found = (all ?? []).filter(({ Id, RepoTags }) =>
    `${Id} ${(RepoTags ?? []).join(' ')}`.toLowerCase().includes(text.toLowerCase()),
  );
  const close = (): void => setOpen(undefined);
  return (
    <section class="view fill">
      <Head title="Images" sub={all === undefined ? undefined : `${all.length} here`}>
        <Button kind="quiet" changes onClick={() => setOpen('prune')}>
          Prune
        </Button>
        <Button icon="search" onClick={() => setOpen('search')}>
          Search
        </Button>
        <Button icon="upload" changes onClick={() => setOpen('load')}>
          Load
        </Button>
        <Button kind="primary" icon="download" changes onClick={() => setOpen('pull')}>
          Pull
        </Button>
      </Head>
      <div class="tools">
        <SearchBox value={text} onInput={setText} label="Name, tag or id" />
      </div>
      {all === undefined && <Loading what="Asking for images" />}
      {all?.length === 0 && (
        <Empty icon="images" title="No images yet">
          <p>Pull one from a registry, or load an archive that `docker save` has made.</p>
          <Button kind="primary" changes onClick={() => setOpen('pull')}>
            Pull one
          </Button>
        </Empty>
      )}
      {found.length > 0 && (
        <Rows
          items={found}
          height={60}
          keyOf={({ Id }) => Id}
          label="Images"
          head={
            <>
              <span class="c-name">Name</span>
              <span class="c-fact">Used by</span>
              <span class="c-fact second">Made</span>
              <span class="c-size">Size</span>
            </>
          }
          render={(image) => <Row image={image} />}
        />
      )}
      {(open === 'pull' || open === 'load') && <Fetch way={open} onClose={close} />}
      {open === 'search' && <Search onClose={close} />}
      {open === 'prune' && (
        <Ask
          title="Remove images"
          text="Images without a name that nothing uses are removed."
          choices={[{ id: 'all', label: 'Those with a name, too', value: false }]}
          action="Remove them"
          danger
          run={({ choices }) =>
            send(
              'POST',
              docker(
                `/images/prune${query({ filters: JSON.stringify({ dangling: [String(choices['all'] !== true)] }) })}`,
              ),
            ).then(() => refresh('images'))
          }
          done="Unused images are removed."
          onClose={close}
        />
      )}
    </section>
  );
}

/** Containers made of it. */
function usersOf(id: string) {
  return (containers.value ?? []).filter(({ ImageID }) => ImageID === id);
}

function Row({ image: { Id, RepoTags, Size, Created } }: { image: ImageSummary }) {
  const users = usersOf(Id);
  const [first, ...others] = RepoTags ?? [];
  return (
    <>
      <span class="c-name">
        <a href={link('images', Id)} class="clip strong">
          {first ?? shortId(Id)}
        </a>
        <span class="clip muted">{others.length > 0 ? `also ${others.join(', ')}` : shortId(Id)}</span>
      </span>
      <span class="c-fact clip">
        {users.length === 0 ? 'nothing' : users.map(({ Names }) => nameOf(Names)).join(', ')}
      </span>
      <span class="c-fact second">{ago(Created * 1000)}</span>
      <span class="c-size">{bytes(Size)}</span>
    </>
  );
}

/** Reads progress to its end. Throws what the last line says went wrong. */
async function follow(response: Response, told: (layers: Layer[], line: string) => void): Promise<void> {
  const progress = new Progress();
  for await (const line of objects<ProgressLine>(response)) {
    progress.add(line);
    told(progress.layers, progress.text);
  }
  if (progress.error !== '') throw new Error(progress.error);
}

function Bars({ layers, text }: { layers: Layer[]; text: string }) {
  return (
    <div class="progress" role="status">
      <ul>
        {layers.map(({ id, status, share }) => (
          <li key={id}>
            <code>{id}</code>
            <span class="meter">
              <i style={{ width: `${Math.round(share * 100)}%` }} />
            </span>
            <span class="muted nowrap">{status}</span>
          </li>
        ))}
      </ul>
      {text !== '' && <p class="muted">{clip(text, 300)}</p>}
    </div>
  );
}

function Fetch({ way, onClose }: { way: 'pull' | 'load'; onClose: () => void }) {
  const [name, setName] = useState('');
  const [file, setFile] = useState<File>();
  const [busy, setBusy] = useState(false);
  const [layers, setLayers] = useState<Layer[]>([]);
  const [text, setText] = useState('');
  const start = async (): Promise<void> => {
    setBusy(true);
    const went = await attempt(
      async () => {
        const response =
          way === 'pull'
            ? await request(docker(`/images/create${query(pullNames(name.trim()))}`), { method: 'POST' })
            : await request(docker('/images/load'), {
                method: 'POST',
                body: file,
                headers: { 'Content-Type': 'application/x-tar' },
              });
        await follow(response, (now, line) => {
          setLayers([...now]);
          setText(line);
        });
      },
      way === 'pull' ? `${name} is here.` : 'The archive is loaded.',
    );
    setBusy(false);
    refresh('images');
    if (went) onClose();
  };
  return (
    <Dialog title={way === 'pull' ? 'Pull an image' : 'Load an archive'} onClose={onClose}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          void start();
        }}
      >
        {way === 'pull' ? (
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
        ) : (
          <label class="field">
            <span>Archive of docker save</span>
            <input
              type="file"
              accept=".tar,.gz,.tgz,.xz,.zst"
              disabled={busy}
              onChange={({ currentTarget }) => setFile(currentTarget.files?.[0])}
            />
          </label>
        )}
        {busy && layers.length === 0 && (
          <Loading what={way === 'pull' ? 'Asking the registry' : 'Sending the archive'} />
        )}
        <Bars layers={layers} text={text} />
        <footer>
          <Button kind="quiet" onClick={onClose}>
            {busy ? 'Leave it running' : 'Cancel'}
          </Button>
          <Button
            submit
            kind="primary"
            disabled={busy || (way === 'pull' ? name.trim() === '' : file === undefined)}
          >
            {way === 'pull' ? 'Pull' : 'Load'}
          </Button>
        </footer>
      </form>
    </Dialog>
  );
}

function pullNames(name: string): { fromImage: string; tag: string } {
  if (name.includes('@')) return { fromImage: name, tag: '' };
  const at = name.lastIndexOf(':');
  return at > name.lastIndexOf('/')
    ? { fromImage: name.slice(0, at), tag: name.slice(at + 1) }
    : { fromImage: name, tag: 'latest' };
}

interface Found {
  name: string;
  description: string;
  star_count: number;
  is_official: boolean;
}

function Search({ onClose }: { onClose: () => void }) {
  const [term, setTerm] = useState('');
  const [found, setFound] = useState<Found[]>();
  const [error, setError] = useState('');
  const search = (): Promise<void> =>
    get<Found[]>(docker(`/images/search${query({ term: term.trim(), limit: 25 })}`)).then(
      (list) => {
        setFound(list);
        setError('');
      },
      (problem: unknown) => setError(problem instanceof Error ? problem.message : String(problem)),
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
      <ul class="list">
        {(found ?? []).map(({ name, description, star_count, is_official }) => (
          <li key={name}>
            <span>
              <strong>{name}</strong> {is_official && <State name="good" text="official" />}
              <br />
              <span class="muted">{clip(description)}</span>
            </span>
            <span class="muted nowrap">{star_count} stars</span>
          </li>
        ))}
      </ul>
    </Dialog>
  );
}

export function ImageView({ id }: { id: string }) {
  const [question, setQuestion] = useState<'tag' | 'push' | 'remove'>();
  const [filter, setFilter] = useState('');
  const inspect = useLoad<ImageInspect>((signal) => get(docker(`/images/${part(id)}/json`), signal), [id]);
  const history = useLoad<HistoryItem[]>(
    (signal) => get(docker(`/images/${part(id)}/history`), signal),
    [id],
  );
  const image = inspect.value;
  if (image === undefined) {
    return (
      <section class="view">
        <Head title={shortId(id)} back={link('images')} />
        {inspect.error === undefined ? <Loading /> : <Failure error={inspect.error} />}
      </section>
    );
  }
  const name = image.RepoTags[0] ?? shortId(image.Id);
  const users = usersOf(image.Id);
  const layers = history.value ?? [];
  const largest = Math.max(1, ...layers.map(({ Size }) => Size));
  return (
    <section class="view">
      <Head
        title={name}
        back={link('images')}
        sub={
          <span class="facts">
            <span>{bytes(image.Size)}</span>
            <span>made {ago(timeOf(image.Created))}</span>
            <span>
              {image.Os}/{image.Architecture}
            </span>
            <code>{shortId(image.Id)}</code>
          </span>
        }
      >
        <Button kind="primary" icon="play" changes onClick={() => go('run', name)}>
          Run
        </Button>
        <Button changes onClick={() => setQuestion('tag')}>
          Tag
        </Button>
        <Button changes onClick={() => setQuestion('push')}>
          Push
        </Button>
        <Button icon="trash" label="Remove" changes onClick={() => setQuestion('remove')} />
      </Head>
      <div class="card">
        <header>
          <h2>Layers and history</h2>
          <span class="muted">{(image.RootFS.Layers ?? []).length} layers</span>
        </header>
        {history.error !== undefined && <Failure error={history.error} />}
        <ol class="layers">
          {[...layers].reverse().map(({ CreatedBy, Size, Comment }, index) => (
            <li key={index}>
              <code>
                {clip(
                  CreatedBy.replace(/^\/bin\/sh -c #\(nop\) +/, '').replace(/^\/bin\/sh -c /, 'RUN ') ||
                    Comment ||
                    '(nothing said)',
                  500,
                )}
              </code>
              <span class="meter" aria-hidden="true">
                <i style={{ width: `${(Size / largest) * 100}%` }} />
              </span>
              <span class="right nowrap muted">{Size === 0 ? '–' : bytes(Size)}</span>
            </li>
          ))}
        </ol>
      </div>
      <div class="card">
        <header>
          <h2>Used by</h2>
        </header>
        {users.length === 0 && <p class="muted">No container is made of it.</p>}
        <ul class="list">
          {users.map(({ Id, Names, State: state }) => (
            <li key={Id}>
              <a href={link('containers', Id)}>{nameOf(Names)}</a>
              <State name={state} />
            </li>
          ))}
        </ul>
      </div>
      <div class="card">
        <header>
          <h2>Inspect</h2>
          <SearchBox value={filter} onInput={setFilter} label="Names and values with…" />
        </header>
        <Tree value={image} filter={filter.toLowerCase()} />
      </div>
      {question === 'tag' && (
        <Ask
          title={`Another name for ${name}`}
          field={{ label: 'Name, like registry.example/team/app:1', value: '' }}
          action="Tag"
          run={({ text }) => {
            const { fromImage: repo, tag } = pullNames(text);
            return send('POST', docker(`/images/${part(image.Id)}/tag${query({ repo, tag })}`)).then(
              inspect.again,
            );
          }}
          done="The image has the name."
          onClose={() => setQuestion(undefined)}
        />
      )}
      {question === 'push' && <Push image={image} onClose={() => setQuestion(undefined)} />}
      {question === 'remove' && (
        <Ask
          title={`Remove ${name}`}
          text="Its names go, and its layers where nothing else has them."
          choices={[{ id: 'force', label: 'Though stopped containers are made of it', value: false }]}
          action="Remove"
          danger
          run={async ({ choices }) => {
            await send(
              'DELETE',
              docker(
                `/images/${part(image.RepoTags.length === 1 ? name : image.Id)}${query({ force: choices['force'] ?? false })}`,
              ),
            );
            refresh('images');
            go('images');
          }}
          done={`${name} is removed.`}
          onClose={() => setQuestion(undefined)}
        />
      )}
    </section>
  );
}

function Push({ image, onClose }: { image: ImageInspect; onClose: () => void }) {
  const tags = image.RepoTags;
  const [tag, setTag] = useState(tags[0] ?? '');
  const [layers, setLayers] = useState<Layer[]>([]);
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const user = useRef<HTMLInputElement>(null);
  const password = useRef<HTMLInputElement>(null);
  const push = async (): Promise<void> => {
    setBusy(true);
    const auth = { username: user.current?.value ?? '', password: password.current?.value ?? '' };
    const { fromImage, tag: version } = pullNames(tag);
    const went = await attempt(async () => {
      const response = await request(
        docker(`/images/${fromImage.split('/').map(part).join('/')}/push${query({ tag: version })}`),
        {
          method: 'POST',
          headers: { 'X-Registry-Auth': base64(JSON.stringify(auth.username === '' ? {} : auth)) },
        },
      );
      await follow(response, (now, line) => {
        setLayers([...now]);
        setText(line);
      });
    }, `${tag} is pushed.`);
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
        <Bars layers={layers} text={text} />
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

function base64(text: string): string {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}
