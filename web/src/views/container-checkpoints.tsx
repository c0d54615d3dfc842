// The checkpoints of a container: memory, processes and disk as they were, from which it can be started.

import { useState } from 'preact/hooks';
import type { ContainerInspect } from '../../../src/docker/types';
import { docker, get, part, query, send } from '../client';
import { clip } from '../logic/format';
import { Ask, Button, Empty, Failure, Loading, useLoad } from '../parts/ui';
import { attempt, link, refresh } from '../store';

export function CheckpointsPart({ inspect }: { inspect: ContainerInspect }) {
  const [removing, setRemoving] = useState<string>();
  const path = (rest: string): string => docker(`/containers/${part(inspect.Id)}${rest}`);
  const list = useLoad<{ Name: string }[] | null>(
    (signal) => get(path('/checkpoints'), signal),
    [inspect.Id, inspect.State.Status],
  );
  const start = (name: string): Promise<boolean> =>
    attempt(
      async () => {
        await send('POST', path(`/start${query({ checkpoint: name })}`));
        refresh('containers', 'pods');
        location.hash = link('containers', inspect.Id, 'logs');
      },
      `It goes on from ${clip(name, 60)}.`,
    );
  if (list.error !== undefined) return <Failure error={list.error} again={list.again} />;
  if (list.value === undefined) return <Loading />;
  const names = (list.value ?? []).map(({ Name }) => Name);
  if (names.length === 0) {
    return (
      <Empty icon="pause" title="No checkpoints">
        <p>While the container runs, “Checkpoint…” keeps memory, processes and disk as they are then.</p>
      </Empty>
    );
  }
  return (
    <div class="scroll">
      <ul class="list card">
        {names.map((name) => (
          <li key={name}>
            <span class="clip strong">{name}</span>
            <span class="facts">
              <Button icon="play" changes disabled={inspect.State.Running} onClick={() => start(name)}>
                Start from it
              </Button>
              <Button
                icon="trash"
                kind="quiet"
                changes
                label={`Remove ${clip(name, 60)}`}
                onClick={() => setRemoving(name)}
              />
            </span>
          </li>
        ))}
      </ul>
      {inspect.State.Running && (
        <p class="hint">The container runs: stop it to start it from a checkpoint.</p>
      )}
      {removing !== undefined && (
        <Ask
          title={`Remove checkpoint ${clip(removing, 60)}`}
          action="Remove"
          danger
          run={() => send('DELETE', path(`/checkpoints/${part(removing)}`)).then(list.again)}
          done="The checkpoint is removed."
          onClose={() => setRemoving(undefined)}
        />
      )}
    </div>
  );
}
