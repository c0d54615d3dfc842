// The files of a container: browsed, taken out, put in, and compared with the image. All through the archive API; a container
// that runs is asked for its lists by a command, as an archive of a directory has all that is below it.

import { useRef, useState } from 'preact/hooks';
import type { ContainerInspect, FilesystemChange } from '../../../src/docker/types';
import { chunks, docker, get, part, query, request, send, upload, urlOf } from '../client';
import { parentOf, listCommand, parseList, sortEntries, type FileEntry } from '../logic/file-list';
import { FrameReader } from '../logic/frames';
import { ago, bytes, clip } from '../logic/format';
import { TarReader, tarAround } from '../logic/tar';
import { Button, Empty, Failure, Icon, Loading, save, useLoad } from '../parts/ui';
import { attempt, go, readOnly, refresh } from '../store';
import { Sent } from './image-transfers';

/** What is saved under its own name goes through the page's memory; what is larger comes as an archive. */
const savedBytes = 64 * 2 ** 20;
/** Of an archive that is read for its names. */
const listedBytes = 4 * 2 ** 20;

export function FilesPart({ inspect, start }: { inspect: ContainerInspect; start?: string | undefined }) {
  const [path, setPath] = useState(start ?? (inspect.Config.WorkingDir || '/'));
  const [sending, setSending] = useState<{ name: string; sent: number; size: number }>();
  const [changes, setChanges] = useState(false);
  const input = useRef<HTMLInputElement>(null);
  const runs = inspect.State.Running && !inspect.State.Paused;
  const list = useLoad<{ entries: FileEntry[]; isCut: boolean }>(
    (signal) => listOf(inspect.Id, path, runs, signal),
    [inspect.Id, path, runs],
  );
  const put = async (files: readonly File[]): Promise<void> => {
    for (const file of files) {
      await attempt(
        async () => {
          const { header, tail } = tarAround(file.name, file.size, file.lastModified / 1000);
          const onSent = (sent: number): void =>
            setSending({ name: file.name, size: file.size, sent: Math.min(sent, file.size) });
          onSent(0);
          await upload(
            docker(`/containers/${part(inspect.Id)}/archive${query({ path })}`),
            new Blob([header, file, tail]),
            { method: 'PUT', onSent },
          );
        },
        `${clip(file.name, 60)} is in ${path}.`,
      );
    }
    setSending(undefined);
    list.again();
  };
  return (
    <div
      class="scroll"
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        if (!readOnly.value) void put([...(event.dataTransfer?.files ?? [])]);
      }}
    >
      <div class="tools">
        <Button icon="up" label="Up" disabled={path === '/'} onClick={() => setPath(parentOf(path))} />
        <input
          class="grow mono"
          aria-label="Path"
          value={path}
          spellcheck={false}
          onChange={({ currentTarget }) =>
            setPath(currentTarget.value.startsWith('/') ? currentTarget.value : `/${currentTarget.value}`)
          }
        />
        <button
          type="button"
          class="button toggle"
          aria-pressed={changes}
          onClick={() => setChanges(!changes)}
        >
          Changes
        </button>
        <a
          class="button"
          href={archiveUrl(inspect.Id, path)}
          download={`${path === '/' ? 'root' : (path.split('/').pop() ?? '')}.tar`}
        >
          <Icon name="download" size={16} /> <span>As tar</span>
        </a>
        <Button icon="upload" changes onClick={() => input.current?.click()}>
          Upload
        </Button>
        <input
          ref={input}
          type="file"
          multiple
          hidden
          onChange={({ currentTarget }) => {
            void put([...(currentTarget.files ?? [])]);
            currentTarget.value = ''; // the same one may be chosen again
          }}
        />
      </div>
      {sending !== undefined && (
        <p class="hint">
          {clip(sending.name, 80)}
          <Sent sent={sending.sent} of={sending.size} />
        </p>
      )}
      {inspect.Config.Labels?.['caisson.browse'] !== undefined && <Borrowed inspect={inspect} />}
      {changes ? (
        <Changes id={inspect.Id} />
      ) : list.error !== undefined ? (
        <Failure error={list.error} again={list.again} />
      ) : list.value === undefined ? (
        <Loading what="Reading the directory" />
      ) : (
        <List id={inspect.Id} path={path} {...list.value} onOpen={setPath} />
      )}
    </div>
  );
}

/** Made to look into a volume that no container has. */
function Borrowed({ inspect: { Id, Mounts } }: { inspect: ContainerInspect }) {
  return (
    <p class="hint">
      This container was made to look into volume {clip(Mounts[0]?.Name ?? '', 80)}; it never runs.{' '}
      <Button
        changes
        onClick={() =>
          attempt(async () => {
            await send('DELETE', docker(`/containers/${part(Id)}`));
            refresh('containers', 'pods');
            go('volumes');
          })
        }
      >
        Done: remove it
      </Button>
    </p>
  );
}

function List({
  id,
  path,
  entries,
  isCut,
  onOpen,
}: {
  id: string;
  path: string;
  entries: FileEntry[];
  isCut: boolean;
  onOpen: (path: string) => void;
}) {
  if (entries.length === 0) {
    return (
      <Empty icon="folder" title="Nothing in it">
        <p>Files can be dropped here.</p>
      </Empty>
    );
  }
  const pathOf = (name: string): string => `${path === '/' ? '' : path}/${name}`;
  return (
    <>
      {isCut && (
        <p class="hint">
          The container does not run, and there is more below this directory than is read: the list may be
          short. Start it, or go further down.
        </p>
      )}
      <table class="files">
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col" class="right">
              Size
            </th>
            <th scope="col">Mode</th>
            <th scope="col">Changed</th>
            <th scope="col">
              <span class="unseen">Download</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {entries.map((entry) => (
            <tr key={entry.name}>
              <td class="grow">
                <span class="file-name">
                  <Icon name={entry.type === 'directory' ? 'folder' : 'file'} size={16} />
                  {entry.type === 'directory' || entry.type === 'symlink' ? (
                    <button type="button" class="as-link" onClick={() => onOpen(pathOf(entry.name))}>
                      {clip(entry.name)}
                    </button>
                  ) : (
                    <span>{clip(entry.name)}</span>
                  )}
                </span>
              </td>
              <td class="right nowrap">{entry.type === 'file' ? bytes(entry.size) : ''}</td>
              <td class="mono">{entry.mode.toString(8).padStart(4, '0')}</td>
              <td class="nowrap">{ago(entry.mtime * 1000)}</td>
              <td class="right">
                {entry.type === 'file' && entry.size <= savedBytes ? (
                  <Button
                    icon="download"
                    kind="quiet"
                    label={`Download ${clip(entry.name, 60)}`}
                    onClick={() => attempt(() => saveFile(id, pathOf(entry.name)))}
                  />
                ) : (
                  <a
                    class="button quiet square"
                    href={archiveUrl(id, pathOf(entry.name))}
                    download={`${entry.name}.tar`}
                    aria-label={`Download ${clip(entry.name, 60)} as tar`}
                  >
                    <Icon name="download" size={16} />
                  </a>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </>
  );
}

function Changes({ id }: { id: string }) {
  const { value, error, again } = useLoad<FilesystemChange[] | null>(
    (signal) => get(docker(`/containers/${part(id)}/changes`), signal),
    [id],
  );
  if (error !== undefined) return <Failure error={error} again={again} />;
  if (value === undefined) return <Loading what="Comparing with the image" />;
  if (value === null || value.length === 0) {
    return (
      <Empty icon="check" title="As the image is">
        <p>The container has changed nothing outside of its volumes.</p>
      </Empty>
    );
  }
  const names = ['changed', 'added', 'deleted'];
  return (
    <ul class="changes">
      {value.slice(0, 2_000).map(({ Path, Kind }) => (
        <li key={Path} class={`change is-${names[Kind] ?? ''}`}>
          <span>{names[Kind]}</span>
          <code>{clip(Path, 400)}</code>
        </li>
      ))}
      {value.length > 2_000 && <li class="muted">and {value.length - 2_000} more</li>}
    </ul>
  );
}

function archiveUrl(id: string, path: string): string {
  return urlOf(docker(`/containers/${part(id)}/archive${query({ path })}`));
}

async function saveFile(id: string, path: string): Promise<void> {
  const response = await request(docker(`/containers/${part(id)}/archive${query({ path })}`));
  const parts: Uint8Array<ArrayBuffer>[] = [];
  let count = 0;
  const reader = new TarReader(
    () => (count += 1),
    (data) => {
      if (count === 1) parts.push(data.slice());
    },
  );
  for await (const chunk of chunks(response)) reader.read(chunk);
  save(path.split('/').pop() ?? 'file', new Blob(parts));
}

async function listOf(
  id: string,
  path: string,
  runs: boolean,
  signal: AbortSignal,
): Promise<{ entries: FileEntry[]; isCut: boolean }> {
  if (runs && !readOnly.value) {
    const entries = await listByCommand(id, path, signal).catch(() => undefined);
    if (entries !== undefined) return { entries: sortEntries(entries), isCut: false };
  }
  return listByArchive(id, path, signal);
}

/** Undefined where the container has no such programs. Throws what the shell says. */
async function listByCommand(
  id: string,
  path: string,
  signal: AbortSignal,
): Promise<FileEntry[] | undefined> {
  const { Id } = await send<{ Id: string }>('POST', docker(`/containers/${part(id)}/exec`), {
    AttachStdout: true,
    AttachStderr: false,
    User: '0',
    Cmd: listCommand(path),
  });
  const response = await request(docker(`/exec/${Id}/start`), {
    method: 'POST',
    body: { Detach: false, Tty: false },
    signal,
  });
  const reader = new FrameReader(false);
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of chunks(response)) {
    for (const { data } of reader.read(chunk)) text += decoder.decode(data, { stream: true });
  }
  return parseList(text);
}

async function listByArchive(
  id: string,
  path: string,
  signal: AbortSignal,
): Promise<{ entries: FileEntry[]; isCut: boolean }> {
  const response = await request(
    docker(`/containers/${part(id)}/archive${query({ path: `${path.replace(/\/$/, '')}/.` })}`),
    { signal },
  );
  const entries = new Map<string, FileEntry>();
  const reader = new TarReader(({ name, size, mode, mtime, type }) => {
    const [, first, rest] = /^(?:\.\/)?([^/]*)(\/.*)?$/.exec(name) ?? [];
    if (first === undefined || first === '' || first === '.') return;
    if (rest === undefined || rest === '/') entries.set(first, { name: first, size, mode, mtime, type });
    else if (!entries.has(first))
      entries.set(first, { name: first, size: 0, mode: 0o755, mtime, type: 'directory' });
  });
  let count = 0;
  for await (const chunk of chunks(response)) {
    reader.read(chunk);
    count += chunk.length;
    if (count > listedBytes) return { entries: sortEntries([...entries.values()]), isCut: true };
  }
  return { entries: sortEntries([...entries.values()]), isCut: false };
}
