// Finds a view, a container or an image by a few letters.

import { useState } from 'preact/hooks';
import { nameOf, shortId } from '../logic/format';
import { containers, images, link } from '../store';
import { Dialog, Icon, type IconName } from './ui';

interface Target {
  name: string;
  hint: string;
  icon: IconName;
  href: string;
}

const shown = 12;

export function Palette({
  places,
  onClose,
}: {
  places: readonly { id: string; name: string; icon: IconName; key: string }[];
  onClose: () => void;
}) {
  const [text, setText] = useState('');
  const [at, setAt] = useState(0);
  const targets: Target[] = [
    ...places.map(({ id, name, icon, key }) => ({ name, hint: `g ${key}`, icon, href: link(id) })),
    { name: 'Run a container', hint: '', icon: 'plus', href: link('run') },
    ...(containers.value ?? []).map(({ Id, Names, State }) => ({
      name: nameOf(Names),
      hint: State,
      icon: 'containers' as const,
      href: link('containers', Id),
    })),
    ...(images.value ?? []).map(({ Id, RepoTags }) => ({
      name: RepoTags?.[0] ?? shortId(Id),
      hint: 'image',
      icon: 'images' as const,
      href: link('images', Id),
    })),
  ];
  const found = targets.filter(({ name }) => name.toLowerCase().includes(text.toLowerCase())).slice(0, shown);
  const take = (target: Target | undefined): void => {
    if (target === undefined) return;
    location.hash = target.href;
    onClose();
  };
  const press = (event: KeyboardEvent): void => {
    const step = event.key === 'ArrowDown' ? 1 : event.key === 'ArrowUp' ? -1 : 0;
    if (step !== 0) setAt((at + step + found.length) % Math.max(1, found.length));
    else if (event.key === 'Enter') take(found[at]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Go to" onClose={onClose}>
      <div class="palette" onKeyDown={press}>
        <label class="search">
          <Icon name="search" size={16} />
          <input
            type="text"
            role="combobox"
            aria-expanded="true"
            aria-controls="palette-list"
            aria-activedescendant={found.length > 0 ? `palette-${at}` : undefined}
            aria-label="Name of a view, container or image"
            placeholder="Name of a view, container or image"
            autofocus
            spellcheck={false}
            value={text}
            onInput={({ currentTarget }) => {
              setText(currentTarget.value);
              setAt(0);
            }}
          />
        </label>
        <ul id="palette-list" role="listbox" aria-label="Found">
          {found.map((target, index) => (
            <li
              key={target.href}
              id={`palette-${index}`}
              role="option"
              aria-selected={index === at}
              onClick={() => take(target)}
              onMouseMove={() => setAt(index)}
            >
              <Icon name={target.icon} size={16} />
              <span class="clip">{target.name}</span>
              <span class="muted">{target.hint}</span>
            </li>
          ))}
        </ul>
        {found.length === 0 && <p class="muted">Nothing has that in its name.</p>}
      </div>
    </Dialog>
  );
}
