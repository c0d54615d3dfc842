// What inspect says, as a tree of which a filter leaves what has the text; and the `docker run` that makes the same.

import { useState } from 'preact/hooks';
import type { ContainerInspect, ImageInspect } from '../../../src/docker/types';
import { docker, get, part } from '../client';
import { runLineOf } from '../logic/run-line-of';
import { CopyButton, SearchBox, useLoad } from '../parts/ui';

export function InspectPart({ inspect }: { inspect: ContainerInspect }) {
  const [text, setText] = useState('');
  const image = useLoad<ImageInspect>(
    (signal) => get(docker(`/images/${part(inspect.Image)}/json`), signal),
    [inspect.Image],
  );
  const line = runLineOf(inspect, image.value?.Config ?? undefined);
  return (
    <div class="scroll">
      <div class="run-line">
        <code>{line}</code>
        <CopyButton text={line} label="Copy as docker run" />
      </div>
      <div class="tools">
        <SearchBox value={text} onInput={setText} label="Names and values with…" />
        <CopyButton text={JSON.stringify(inspect, undefined, 2)} label="Copy all as JSON" />
      </div>
      <Tree value={inspect} filter={text.toLowerCase()} />
    </div>
  );
}

export function Tree({ value, filter }: { value: object; filter: string }) {
  const entries = entriesOf(value).filter(([key, child]) => has(key, child, filter));
  if (entries.length === 0) return <p class="muted">Nothing has that in it.</p>;
  return (
    <ul class="tree">
      {entries.map(([key, child]) => (
        <Branch
          key={key}
          name={key}
          value={child}
          filter={key.toLowerCase().includes(filter) ? '' : filter}
          isOpen={filter !== '' || key === 'State'}
        />
      ))}
    </ul>
  );
}

function Branch({
  name,
  value,
  filter,
  isOpen,
}: {
  name: string;
  value: unknown;
  filter: string;
  isOpen: boolean;
}) {
  if (typeof value !== 'object' || value === null || Object.keys(value).length === 0) {
    return (
      <li class="leaf">
        <span class="key">{name}</span>
        <span class={`value is-${value === null ? 'null' : typeof value}`}>
          {typeof value === 'string' ? value || '""' : JSON.stringify(value)}
        </span>
      </li>
    );
  }
  const entries = entriesOf(value).filter(([key, child]) => has(key, child, filter));
  return (
    <li>
      <details open={isOpen}>
        <summary>
          <span class="key">{name}</span> <span class="muted">{Object.keys(value).length}</span>
        </summary>
        <ul class="tree">
          {entries.map(([key, child]) => (
            <Branch key={key} name={key} value={child} filter={filter} isOpen={filter !== '' || isOpen} />
          ))}
        </ul>
      </details>
    </li>
  );
}

function has(key: string, value: unknown, filter: string): boolean {
  if (filter === '' || key.toLowerCase().includes(filter)) return true;
  if (typeof value === 'object' && value !== null)
    return entriesOf(value).some(([name, child]) => has(name, child, filter));
  return String(value).toLowerCase().includes(filter);
}

function entriesOf(value: object): [string, unknown][] {
  return Object.entries(value);
}
