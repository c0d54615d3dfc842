// What the whole page knows: where it is, whether the daemon answers, and the lists that views share. Events of the daemon say when
// a list is to be asked for again.

import { computed, effect, signal } from '@preact/signals';
import type {
  ContainerSummary,
  EventMessage,
  ImageSummary,
  NetworkInspect,
  SystemInfo,
  Volume,
} from '../../src/docker/types';
import type { CaissonInfo, PodSummary, VmSummary, WorkloadStatus } from '../../src/api/v1/types';
import type { WebInfo } from '../../src/web/types';
import { ApiError, docker, get, NoAnswer, objects, query, request } from './client';
import { isExec, withEvent } from './logic/timeline';

/** `''`: nobody is in: a token is wanted. */
export type Connection = 'connecting' | 'online' | 'away' | 'out';

export const connection = signal<Connection>('connecting');
export const web = signal<WebInfo | undefined>(undefined);
export const info = signal<SystemInfo | undefined>(undefined);
export const own = signal<CaissonInfo | undefined>(undefined);
export const containers = signal<ContainerSummary[] | undefined>(undefined);
export const images = signal<ImageSummary[] | undefined>(undefined);
export const networks = signal<NetworkInspect[] | undefined>(undefined);
export const volumes = signal<Volume[] | undefined>(undefined);
export const pods = signal<PodSummary[] | undefined>(undefined);
export const vms = signal<VmSummary[] | undefined>(undefined);
export const plays = signal<WorkloadStatus[] | undefined>(undefined);
/** Newest first, within a bound. */
export const events = signal<EventMessage[]>([]);
const looked = signal(!document.hidden);
document.addEventListener('visibilitychange', () => (looked.value = !document.hidden));
/** The daemon answers, and somebody looks. What streams does so meanwhile: a browser has six connections for an address, for all its tabs. */
export const isLive = computed(() => connection.value === 'online' && looked.value);
export const readOnly = computed(() => web.value?.readOnly ?? false);

const eventsKept = 500;
const retryMs = 1_500;

// where the page is: `#/containers/ID/logs`
export const route = signal<string[]>(routeOf());
addEventListener('hashchange', () => (route.value = routeOf()));

function routeOf(): string[] {
  return location.hash.replace(/^#\/?/, '').split('/').map(decoded).filter(Boolean);
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export function link(...parts: string[]): string {
  return `#/${parts.map(encodeURIComponent).join('/')}`;
}

export function go(...parts: string[]): void {
  location.hash = link(...parts);
}

// notices, which go by themselves unless something is wrong
export interface Notice {
  key: number;
  level: 'good' | 'bad';
  text: string;
}
export const notices = signal<Notice[]>([]);
let noticeKey = 0;
export function notice(level: Notice['level'], text: string): void {
  const key = ++noticeKey;
  notices.value = [...notices.value.slice(-3), { key, level, text }];
  setTimeout(() => dismiss(key), level === 'good' ? 4_000 : 12_000);
}
export function dismiss(key: number): void {
  notices.value = notices.value.filter((one) => one.key !== key);
}

/**
 * Runs what a button asks for; what goes wrong is told, by a notice unless `wrong` does. Resolves with whether it went well. A dialog
 * tells it itself: what lies below it is not seen.
 */
export async function attempt(
  work: () => Promise<unknown>,
  done = '',
  wrong: (text: string) => void = (text) => notice('bad', text),
): Promise<boolean> {
  try {
    await work();
    if (done !== '') notice('good', done);
    return true;
  } catch (error) {
    wrong(messageOf(error));
    return false;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Those that are made of an image. */
export function containersOf(imageId: string): ContainerSummary[] {
  return (containers.value ?? []).filter(({ ImageID }) => ImageID === imageId);
}

type ListName = 'containers' | 'images' | 'networks' | 'volumes' | 'pods' | 'system';

const loaders: Record<ListName, () => Promise<void>> = {
  containers: async () => {
    containers.value = await get(docker('/containers/json?all=1'));
  },
  images: async () => {
    images.value = await get(docker('/images/json'));
  },
  networks: async () => {
    networks.value = await get(docker('/networks'));
  },
  volumes: async () => {
    volumes.value = (await get<{ Volumes: Volume[] | null }>(docker('/volumes'))).Volumes ?? [];
  },
  pods: async () => {
    [pods.value, vms.value, plays.value] = await Promise.all([
      get<PodSummary[]>('/v1/pods'),
      get<VmSummary[]>('/v1/vms'),
      get<WorkloadStatus[]>('/v1/play'),
    ]);
  },
  system: async () => {
    [info.value, own.value] = await Promise.all([
      get<SystemInfo>(docker('/info')),
      get<CaissonInfo>('/v1/info'),
    ]);
  },
};

const waiting = new Set<ListName>();
const asking = new Set<ListName>();
const askedAgain = new Set<ListName>();
const gatherMs = 250;

/** Asks again, once for whatever happens within a moment, and not before the last answer is here. */
export function refresh(...names: ListName[]): void {
  for (const name of names) {
    if (waiting.has(name)) continue;
    waiting.add(name);
    setTimeout(() => {
      waiting.delete(name);
      void reload(name);
    }, gatherMs);
  }
}

async function reload(name: ListName): Promise<void> {
  if (asking.has(name)) {
    askedAgain.add(name);
    return;
  }
  asking.add(name);
  try {
    do {
      askedAgain.delete(name);
      await loaders[name]();
    } while (askedAgain.has(name));
  } catch (error) {
    lost(error);
  } finally {
    asking.delete(name);
  }
}

function lost(error: unknown): void {
  if (error instanceof ApiError && error.status === 401) connection.value = 'out';
}

const concerns: Record<string, ListName[]> = {
  container: ['containers', 'pods'],
  image: ['images'],
  // who is on it stands with the containers
  network: ['networks', 'containers'],
  volume: ['volumes'],
  daemon: ['system'],
};

/** One list that the daemon can't make is told, and keeps nobody from the others. */
async function loadOne(load: () => Promise<void>): Promise<void> {
  try {
    await load();
  } catch (error) {
    if (error instanceof NoAnswer || (error instanceof ApiError && error.status === 401)) throw error;
    notice('bad', messageOf(error));
  }
}

/** For as long as the page is open. */
export async function stayConnected(): Promise<void> {
  for (;;) {
    const stop = new AbortController();
    const hidden = (): void => {
      // browsers have six connections for an address: one that nobody looks at takes none
      if (document.hidden) stop.abort();
    };
    try {
      const found = await get<WebInfo>('/web/info');
      const before = web.value;
      web.value = found;
      document.addEventListener('visibilitychange', hidden);
      hidden();
      // first, so that nothing happens between the lists and it; with what came while nobody looked, or the connection was away
      const known = events.value[0];
      const response = await request(docker(`/events${query({ since: known?.time })}`), {
        signal: stop.signal,
      });
      await Promise.all(Object.values(loaders).map(loadOne));
      if (before !== undefined && before.instance !== found.instance) {
        notice('good', 'The daemon was restarted; this page goes on.');
      }
      connection.value = 'online';
      for await (const event of objects<EventMessage>(response)) {
        if (known !== undefined && event.timeNano <= known.timeNano) continue;
        events.value = withEvent(events.value, event, eventsKept);
        // what runs beside a container's main process changes no list
        if (!isExec(event)) refresh(...(concerns[event.Type] ?? []));
      }
      connection.value = 'away';
    } catch (error) {
      if (error instanceof ApiError && error.status === 401) {
        connection.value = 'out';
        return;
      }
      if (!stop.signal.aborted) connection.value = 'away';
    } finally {
      document.removeEventListener('visibilitychange', hidden);
    }
    await visible();
    await new Promise((resolve) => setTimeout(resolve, connection.value === 'away' ? retryMs : 0));
  }
}

function visible(): Promise<void> {
  if (!document.hidden) return Promise.resolve();
  return new Promise((resolve) => {
    const look = (): void => {
      if (document.hidden) return;
      document.removeEventListener('visibilitychange', look);
      resolve();
    };
    document.addEventListener('visibilitychange', look);
  });
}

// looks
const dark = matchMedia('(prefers-color-scheme: dark)');
/** The system's. */
export const isDark = signal(dark.matches);
dark.addEventListener('change', () => (isDark.value = dark.matches));
export type Theme = 'auto' | 'light' | 'dark';
export const theme = signal<Theme>((localStorage.getItem('caisson.theme') as Theme | null) ?? 'auto');
effect(() => {
  localStorage.setItem('caisson.theme', theme.value);
  if (theme.value === 'auto') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme.value;
});
