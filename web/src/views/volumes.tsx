// Volumes: who has them and where, how much is in them; browsed through a container that has one.

import { useState } from 'preact/hooks';
import type { DiskUsage, Volume } from '../../../src/docker/types';
import { docker, get, part, send } from '../client';
import { ago, bytes, clip, nameOf } from '../logic/format';
import { Ask, Button, Empty, Head, Loading, useLoad } from '../parts/ui';
import { containers, link, refresh, volumes } from '../store';

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
          <p>What is to stay when its container goes belongs in a volume: `-v data:/data`.</p>
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
                    <a href={link('containers', id, 'files')} class="clip">
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
