// The images that are here, and the ways by which others come.

import { useState } from 'preact/hooks';
import type { ImageSummary } from '../../../src/docker/types';
import { docker, query, send } from '../client';
import { ago, bytes, nameOf, shortId } from '../logic/format';
import { Rows } from '../parts/rows';
import { Ask, Button, Empty, Head, Loading, SearchBox } from '../parts/ui';
import { containersOf, images, link, refresh } from '../store';
import { Load, Pull, Search } from './image-transfers';

type Open = 'pull' | 'load' | 'search' | 'prune';

export function ImagesView() {
  const [text, setText] = useState('');
  const [open, setOpen] = useState<Open>();
  const [wanted, setWanted] = useState('');
  const all = images.value;
  const found = (all ?? []).filter(({ Id, RepoTags }) =>
    `${Id} ${(RepoTags ?? []).join(' ')}`.toLowerCase().includes(text.toLowerCase()),
  );
  const close = (): void => {
    setOpen(undefined);
    setWanted('');
  };
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
          <p>
            Pull one from a registry, or load an archive that <code>docker save</code> has made.
          </p>
          <Button kind="primary" changes onClick={() => setOpen('pull')}>
            Pull one
          </Button>
        </Empty>
      )}
      {all !== undefined && all.length > 0 && found.length === 0 && (
        <Empty icon="search" title="None of them">
          <p>No image has that in its name, tag or id.</p>
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
      {open === 'pull' && <Pull name={wanted} onClose={close} />}
      {open === 'load' && <Load onClose={close} />}
      {open === 'search' && (
        <Search
          onClose={close}
          onPull={(name) => {
            setWanted(name);
            setOpen('pull');
          }}
        />
      )}
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

function Row({ image: { Id, RepoTags, Size, Created } }: { image: ImageSummary }) {
  const users = containersOf(Id);
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
