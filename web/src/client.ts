// The daemon as the page sees it: Docker's API, Caisson's own, and what the web server adds, all below /api/AREA.

import type { LoginReply } from '../../src/web/types';

export class ApiError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** The daemon is away, or went away in the middle of an answer. */
export class NoAnswer extends Error {
  constructor() {
    super('The daemon does not answer.');
  }
}

/** Browsers say by a TypeError that nothing came. */
function unanswered(error: unknown): never {
  throw error instanceof TypeError ? new NoAnswer() : error;
}

const areaKey = 'caisson.area';
/** Cookies know no ports, this does: it is part of every path, and the cookie goes there alone. */
let area = localStorage.getItem(areaKey) ?? '';

export const docker = (path: string): string => `/v1.41${path}`;

/** Exchanges the token of the page's address. False: there is none, and no session is known. */
export async function login(): Promise<boolean> {
  const url = new URL(location.href);
  const token = url.searchParams.get('token');
  if (token === null) return area !== '';
  const response = await fetch('/login', { method: 'POST', body: JSON.stringify({ token }) });
  // out of the address whatever becomes of it: it is not to be in a history
  url.searchParams.delete('token');
  history.replaceState(null, '', url.pathname + url.search + url.hash);
  if (response.ok) {
    area = ((await response.json()) as LoginReply).area;
    localStorage.setItem(areaKey, area);
    return true;
  }
  return area !== '';
}

export function forgetSession(): void {
  localStorage.removeItem(areaKey);
  area = '';
}

export function urlOf(path: string): string {
  return `/api/${area}${path}`;
}

export function socketUrl(path: string): string {
  return `ws://${location.host}${urlOf(path)}`;
}

export interface CallOptions {
  method?: string;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal | undefined;
}

/** Throws ApiError with what the daemon says, NoAnswer when it says nothing. */
export async function request(path: string, options: CallOptions = {}): Promise<Response> {
  const { method = 'GET', body, headers = {}, signal } = options;
  const isRaw = body instanceof Blob || body instanceof ArrayBuffer || typeof body === 'string';
  const response = await fetch(urlOf(path), {
    method,
    headers: { ...(body === undefined || isRaw ? {} : { 'Content-Type': 'application/json' }), ...headers },
    ...(body === undefined ? {} : { body: isRaw ? body : JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  }).catch(unanswered);
  if (response.ok || response.status === 304) return response;
  const text = await response.text().catch(unanswered);
  throw new ApiError(response.status, messageIn(text) || `the daemon answered ${response.status}`);
}

export interface UploadOptions {
  method: 'POST' | 'PUT';
  /** Bytes that have gone. */
  onSent: (bytes: number) => void;
  /** Of what is answered, a line at a time as it comes. */
  onLine?: (line: string) => void;
}

/** Sends a file, and tells how far it is: fetch does not. Throws as `request`. */
export function upload(path: string, body: Blob, { method, onSent, onLine }: UploadOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    const sent = new XMLHttpRequest();
    let read = 0;
    const readLines = (): void => {
      if (onLine === undefined || sent.status !== 200) return;
      const text = sent.responseText;
      for (let end = text.indexOf('\n', read); end >= 0; end = text.indexOf('\n', read)) {
        const line = text.slice(read, end).trim();
        read = end + 1;
        if (line !== '') onLine(line);
      }
    };
    sent.upload.onprogress = ({ loaded }) => onSent(loaded);
    sent.onprogress = readLines;
    sent.onerror = () => reject(new NoAnswer());
    sent.onload = () => {
      onSent(body.size);
      if (sent.status >= 400) reject(new ApiError(sent.status, messageIn(sent.responseText)));
      else {
        readLines();
        resolve();
      }
    };
    sent.open(method, urlOf(path));
    sent.setRequestHeader('Content-Type', 'application/x-tar');
    sent.send(body);
  });
}

function messageIn(text: string): string {
  try {
    const value = JSON.parse(text) as { message?: unknown };
    return typeof value.message === 'string' ? value.message : text;
  } catch {
    return text;
  }
}

export async function get<Reply>(path: string, signal?: AbortSignal): Promise<Reply> {
  const response = await request(path, { signal });
  return (await response.json().catch(unanswered)) as Reply;
}

/** `undefined` where the daemon answers nothing. */
export async function send<Reply>(method: string, path: string, body?: unknown): Promise<Reply> {
  const response = await request(path, { method, body });
  const text = await response.text().catch(unanswered);
  return (text === '' ? undefined : JSON.parse(text)) as Reply;
}

/** The body as it comes. */
export async function* chunks(response: Response): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = response.body?.getReader();
  if (reader === undefined) return;
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(unanswered);
      if (done) return;
      yield value;
    }
  } finally {
    void reader.cancel().catch(() => undefined);
  }
}

/** One object a line: events, progress, stats. */
export async function* objects<Item>(response: Response): AsyncGenerator<Item, void, undefined> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of chunks(response)) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split('\n');
    rest = lines.pop() ?? '';
    for (const line of lines) if (line.trim() !== '') yield JSON.parse(line) as Item;
  }
  if (rest.trim() !== '') yield JSON.parse(rest) as Item;
}

export function query(parameters: Record<string, string | number | boolean | undefined>): string {
  const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== '');
  if (given.length === 0) return '';
  return `?${new URLSearchParams(given.map(([key, value]): [string, string] => [key, String(value)])).toString()}`;
}

/** A piece of a path; names may hold anything. */
export const part = encodeURIComponent;
