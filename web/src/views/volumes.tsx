// Volumes: who has them and where, how much is in them; browsed through a container that has one.

import { useState } from 'preact/hooks';
import type { DiskUsage, Volume } from '../../../src/docker/types';
import { docker, get, part, send } from '../client';
import { ago, bytes, clip, nameOf } from '../logic/format';
import { Ask, Button, Empty, Head, Loading, useLoad } from '../parts/ui';
import { attempt, containers, go, images, link, refresh, volumes } from '../store';

export function VolumesView() {
  const [making, setMaking] = useState(false);
  const [removing, setRemoving] = useState<Volume>();
  const all = volumes.value;
  const usage = useLoad<DiskUsage>((signal) => get(docker('/system/df'), signal), [all]);
  const sizes = new Map(
    (usage.value?.Volumes ?? []).map(({ Name, UsageData }) => [Name, UsageData?.Size ?? -1]),
  );
  return (
    <section class="view">
      <Head
        title="Volumes"
        sub={all === undefined ? undefined : `${all.length}; they stay when containers go`}
      >
        <Button kind="primary" icon="plus" changes onClick={() => setMaking(true)}>
          Create
        </Button>
      </Head>
      {all === undefined && <Loading what="Asking for volumes" />}
      {all?.length === 0 && (
        <Empty icon="volumes" title="No volumes yet">
          <p>
            What is to stay when its container goes belongs in a volume: <code>-v data:/data</code>.
          </p>
        </Empty>
      )}
      <ul class="cards">
        {(all ?? []).map((volume) => {
          const users = usersOf(volume.Name);
          const size = sizes.get(volume.Name);
          return (
            <li key={volume.Name} class="card item">
              <header>
                <h2 class="clip">{clip(volume.Name, 100)}</h2>
                <strong class="nowrap">{size === undefined || size < 0 ? '' : bytes(size)}</strong>
                {users.length === 0 && (
                  <Button
                    icon="folder"
                    kind="quiet"
                    changes
                    label={`Look into ${clip(volume.Name, 60)}`}
                    onClick={() => attempt(() => browse(volume.Name))}
                  />
                )}
                <Button
                  icon="trash"
                  kind="quiet"
                  changes
                  disabled={users.length > 0}
                  label={`Remove ${clip(volume.Name, 60)}`}
                  onClick={() => setRemoving(volume)}
                />
              </header>
              <ul class="list">
                {users.map(({ id, name, path, writable }) => (
                  <li key={id + path}>
                    <a href={link('containers', id, 'files', path)} class="clip">
                      {name}
                    </a>
                    <code class="clip">
                      {path}
                      {writable ? '' : ' (read-only)'}
                    </code>
                  </li>
                ))}
              </ul>
              <p class="muted">
                {users.length === 0 ? 'No container has it. ' : ''}
                {volume.CreatedAt === undefined ? '' : `Made ${ago(Date.parse(volume.CreatedAt))}.`}
              </p>
            </li>
          );
        })}
      </ul>
      {making && (
        <Ask
          title="Create a volume"
          field={{ label: 'Name', value: '' }}
          action="Create"
          run={({ text }) =>
            send('POST', docker('/volumes/create'), { Name: text }).then(() => refresh('volumes'))
          }
          done="The volume is made."
          onClose={() => setMaking(false)}
        />
      )}
      {removing !== undefined && (
        <Ask
          title={`Remove ${clip(removing.Name, 80)}`}
          text="What is in it is gone then."
          action="Remove"
          danger
          run={() => send('DELETE', docker(`/volumes/${part(removing.Name)}`)).then(() => refresh('volumes'))}
          done="The volume is removed."
          onClose={() => setRemoving(undefined)}
        />
      )}
    </section>
  );
}

/** Files are reached through containers: one is made for it, of any image, which never runs. */
async function browse(volume: string): Promise<void> {
  const image = images.value?.[0]?.Id;
  if (image === undefined) throw new Error('an image is wanted to look into a volume: pull one first');
  const { Id } = await send<{ Id: string }>('POST', docker('/containers/create'), {
    Image: image,
    Cmd: ['true'],
    Labels: { 'caisson.browse': volume },
    HostConfig: { Binds: [`${volume}:/volume`], NetworkMode: 'none' },
  });
  refresh('containers');
  go('containers', Id, 'files', '/volume');
}

function usersOf(volume: string): { id: string; name: string; path: string; writable: boolean }[] {
  return (containers.value ?? []).flatMap(({ Id, Names, Mounts }) =>
    Mounts.filter(({ Name }) => Name === volume).map(({ Destination, RW }) => ({
      id: Id,
      name: nameOf(Names),
      path: Destination,
      writable: RW,
    })),
  );
}
