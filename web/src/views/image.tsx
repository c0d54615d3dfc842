// One image: its layers and how they were made, who uses it, and what can be done with it.

import { useState } from 'preact/hooks';
import type { HistoryItem, ImageInspect } from '../../../src/docker/types';
import { docker, get, part, query, send } from '../client';
import { ago, bytes, clip, counted, nameOf, shortId, timeOf } from '../logic/format';
import { pullNames } from '../logic/image-names';
import { Ask, Button, Failure, Head, Loading, SearchBox, State, useLoad } from '../parts/ui';
import { containersOf, go, images, link, refresh } from '../store';
import { Tree } from './container-inspect';
import { Push } from './image-transfers';

export function ImageView({ id }: { id: string }) {
  const [question, setQuestion] = useState<'tag' | 'push' | 'remove'>();
  const [filter, setFilter] = useState('');
  const inspect = useLoad<ImageInspect>(
    (signal) => get(docker(`/images/${part(id)}/json`), signal),
    [id, images.value],
  );
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
  const users = containersOf(image.Id);
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
      {inspect.error !== undefined && <Failure error={inspect.error} />}
      <div class="card">
        <header>
          <h2>Layers and history</h2>
          <span class="muted">{counted((image.RootFS.Layers ?? []).length, 'layer')}</span>
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
