// `docker search`: asks the index of a registry, by default Docker Hub's.

import type { Filters } from '../../api/v1.41/backend';
import type { AuthConfig, ImageSearchItem } from '../../docker/types';
import { DaemonError, errorMessage } from '../../errors';
import { discardBody, readBody, sendRequest } from '../../registry/http-client';
import { requestError } from '../../registry/registry-errors';
import { booleanFilter, invalidFilter, validateFilters } from '../filters/filters';

const acceptedFilters = ['is-automated', 'is-official', 'stars'];
const defaultLimit = 25;
const timeoutMs = 30_000;

/** Throws InvalidParameter for a limit out of range, Internal with the reason when the index can't be asked. */
export async function searchImages(
  term: string,
  options: { limit: number; filters: Filters; auth?: AuthConfig },
): Promise<ImageSearchItem[]> {
  const { filters } = options;
  validateFilters(filters, acceptedFilters);
  const limit = options.limit === 0 ? defaultLimit : options.limit;
  if (limit < 1 || limit > 100) {
    throw new DaemonError('InvalidParameter', `Limit ${limit} is outside the range of [1, 100]`);
  }
  const official = booleanFilter(filters, 'is-official', { unique: true });
  const automated = booleanFilter(filters, 'is-automated', { unique: true });
  const stars = Math.max(0, ...(filters.get('stars') ?? []).map(starCount));
  const items = await ask(term, limit, options.auth);
  return items.filter(
    (item) =>
      (official === undefined || item.is_official === official) &&
      (automated === undefined || item.is_automated === automated) &&
      item.star_count >= stars,
  );
}

function starCount(text: string): number {
  if (!/^\d+$/.test(text)) throw invalidFilter('stars', text);
  return Number(text);
}

async function ask(term: string, limit: number, auth: AuthConfig | undefined): Promise<ImageSearchItem[]> {
  const { base, remainder } = indexOf(term);
  const url = `${base}search?q=${encodeURIComponent(remainder)}&n=${limit}`;
  const headers: Record<string, string> = { 'X-Docker-Token': 'true' };
  if (auth?.username !== undefined && auth.username !== '') {
    const credentials = Buffer.from(`${auth.username}:${auth.password ?? ''}`).toString('base64');
    headers['Authorization'] = `Basic ${credentials}`;
  }
  let text: Buffer;
  try {
    const signal = AbortSignal.timeout(timeoutMs);
    const response = await sendRequest({ method: 'GET', url, headers, insecure: false, signal });
    const { status } = response;
    if (status < 200 || status > 299) {
      discardBody(response);
      throw new DaemonError('Internal', `Unexpected status code ${status}`);
    }
    text = await readBody(response);
  } catch (error) {
    throw error instanceof DaemonError ? error : requestError('GET', url, error);
  }
  let body: unknown;
  try {
    body = JSON.parse(text.toString());
  } catch (error) {
    throw new DaemonError('Internal', `error decoding the answer of ${url}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  const results = typeof body === 'object' && body !== null && 'results' in body ? body.results : undefined;
  return Array.isArray(results) ? results.map(searchItem) : [];
}

/** The index that the term's first part names, or Docker Hub's. Throws Internal for a URL. */
function indexOf(term: string): { base: string; remainder: string } {
  if (term.includes('://')) {
    throw new DaemonError('Internal', 'Invalid repository name (ex: "registry.domain.tld/myrepos")');
  }
  const slash = term.indexOf('/');
  const host = slash < 0 ? '' : term.slice(0, slash);
  if (host !== 'localhost' && !/[.:]/.test(host)) {
    return { base: 'https://index.docker.io/v1/', remainder: term.replace(/^library\//, '') };
  }
  const loopback = /^(localhost|127\.[\d.]+|\[::1\])(:\d+)?$/.test(host);
  return { base: `${loopback ? 'http' : 'https'}://${host}/v1/`, remainder: term.slice(slash + 1) };
}

function searchItem(value: unknown): ImageSearchItem {
  const item = (typeof value === 'object' && value !== null ? value : {}) as Record<string, unknown>;
  return {
    star_count: typeof item['star_count'] === 'number' ? item['star_count'] : 0,
    is_official: item['is_official'] === true,
    name: typeof item['name'] === 'string' ? item['name'] : '',
    is_automated: item['is_automated'] === true,
    description: typeof item['description'] === 'string' ? item['description'] : '',
  };
}
