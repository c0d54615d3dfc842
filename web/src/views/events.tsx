// What has happened since the page is open, and what the daemon remembers of the last day.

import { useState } from 'preact/hooks';
import type { EventMessage } from '../../../src/docker/types';
import { docker, objects, query, request } from '../client';
import { clip, shortId } from '../logic/format';
import { isBad, isExec, timeline, type Piece } from '../logic/timeline';
import { Rows } from '../parts/rows';
import { Empty, Failure, Head, Loading, SearchBox, State, useLoad } from '../parts/ui';
import { events, link } from '../store';

const kinds = ['all', 'container', 'image', 'network', 'volume', 'daemon'] as const;
const pastSeconds = 86_400;
const pastKept = 2_000;

const looks: Record<string, string> = {
  start: 'running',
  unpause: 'running',
  die: 'exited',
  kill: 'dead',
  oom: 'bad',
  destroy: 'removing',
  pause: 'paused',
  restart: 'restarting',
};

export function EventsView() {
  const [text, setText] = useState('');
  const [kind, setKind] = useState<(typeof kinds)[number]>('all');
  const [execs, setExecs] = useState(false);
  const past = useLoad(pastEvents, []);
  const live = events.value;
  const seen = new Set(live.map(({ timeNano }) => timeNano));
  const all = [...live, ...(past.value ?? []).filter(({ timeNano }) => !seen.has(timeNano))];
  const found = all.filter(
    (event) =>
      (kind === 'all' || event.Type === kind) &&
      (execs || !isExec(event)) &&
      textOf(event).includes(text.toLowerCase()),
  );
  return (
    <section class="view fill">
      <Head title="Events" sub="Of the last day, the newest first" />
      <div class="tools">
        <SearchBox value={text} onInput={setText} label="What, whose, with which label" />
        <select
          aria-label="Kind"
          value={kind}
          onChange={({ currentTarget }) => setKind(currentTarget.value as typeof kind)}
        >
          {kinds.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
        <button type="button" class="button toggle" aria-pressed={execs} onClick={() => setExecs(!execs)}>
          With execs
        </button>
      </div>
      {past.value !== undefined && found.length > 0 && <Strip events={found} />}
      {past.error !== undefined && <Failure error={past.error} again={past.again} />}
      {past.value === undefined && past.error === undefined && <Loading />}
      {past.value !== undefined && found.length === 0 && (
        <Empty icon="events" title="Nothing happened">
          <p>Events show up here the moment that they happen.</p>
        </Empty>
      )}
      {found.length > 0 && (
        <Rows
          items={found}
          height={44}
          label="Events"
          keyOf={({ timeNano, Action, Actor }) => `${timeNano} ${Action} ${Actor.ID}`}
          render={(event) => <Row event={event} />}
        />
      )}
    </section>
  );
}

const pieces = 96;

/** When much happened, and when something went wrong. */
function Strip({ events: shown }: { events: readonly EventMessage[] }) {
  const now = Math.floor(Date.now() / 1000);
  const strip = timeline(shown, now, pieces);
  const most = Math.max(1, ...strip.map(({ count }) => count));
  const heightOf = (count: number): number => (count === 0 ? 0 : Math.max(8, (count / most) * 100));
  return (
    <figure class="strip">
      <svg viewBox={`0 0 ${pieces} 100`} preserveAspectRatio="none" role="img" aria-label={stripText(strip)}>
        {strip.map(({ from, count, bad }, index) => (
          <g key={index}>
            <title>{`${clock(from)}: ${count} events`}</title>
            <rect x={index + 0.1} width={0.8} y={100 - heightOf(count)} height={heightOf(count)} />
            {bad > 0 && (
              <rect class="bad" x={index + 0.1} width={0.8} y={100 - heightOf(bad)} height={heightOf(bad)} />
            )}
          </g>
        ))}
      </svg>
      <figcaption class="muted">
        <span>{clock(strip[0]?.from ?? now)}</span>
        <span class="nowrap">
          <i class="swatch plot1" aria-hidden="true" /> events <i class="swatch bad" aria-hidden="true" />{' '}
          went wrong
        </span>
        <span>now</span>
      </figcaption>
    </figure>
  );
}

function stripText(strip: readonly Piece[]): string {
  const sum = (of: 'count' | 'bad'): number => strip.reduce((total, piece) => total + piece[of], 0);
  return `${sum('count')} events over time, of which ${sum('bad')} went wrong`;
}

function clock(seconds: number): string {
  const date = new Date(seconds * 1000);
  const isToday = date.toDateString() === new Date().toDateString();
  const time = date.toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', hour12: false });
  return isToday ? time : `${date.toLocaleDateString([], { weekday: 'short' })} ${time}`;
}

function Row({ event }: { event: EventMessage }) {
  const { time, Type, Action, Actor } = event;
  const name = Actor.Attributes['name'] ?? shortId(Actor.ID);
  const action = Action.split(':')[0] ?? '';
  return (
    <>
      <time class="muted nowrap event-time">
        {new Date(time * 1000).toLocaleTimeString([], { hour12: false })}
      </time>
      <span class="event-action">
        <State name={isBad(event) ? 'bad' : (looks[action] ?? 'created')} text={clip(action, 24)} />
      </span>
      <span class="muted event-kind">{Type}</span>
      {Type === 'container' ? (
        <a class="clip grow" href={link('containers', Actor.ID)}>
          {clip(name, 120)}
        </a>
      ) : (
        <span class="clip grow">{clip(name, 120)}</span>
      )}
      <span class="muted clip event-more">
        {Action.includes(':') ? clip(Action.slice(action.length + 1), 100) : exitOf(Actor.Attributes)}
      </span>
    </>
  );
}

function exitOf({ exitCode, signal }: Record<string, string>): string {
  if (exitCode !== undefined) return `exit ${exitCode}`;
  return signal === undefined ? '' : `signal ${signal}`;
}

function textOf({ Type, Action, Actor }: EventMessage): string {
  return `${Type} ${Action} ${Actor.ID} ${Object.values(Actor.Attributes).join(' ')}`.toLowerCase();
}

async function pastEvents(signal: AbortSignal): Promise<EventMessage[]> {
  const now = Math.floor(Date.now() / 1000);
  const response = await request(docker(`/events${query({ since: now - pastSeconds, until: now })}`), {
    signal,
  });
  const found: EventMessage[] = [];
  for await (const event of objects<EventMessage>(response)) found.push(event);
  return found.slice(-pastKept).reverse();
}
