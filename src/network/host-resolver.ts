// The host's resolver, and the resolv.conf that containers get from it.

import { readFileSync } from 'node:fs';

import { egressNameServer } from './egress';
import { formatResolvConf, parseResolvConf, usableNameservers } from './addresses/resolv-conf';
import type { ResolvConf } from './addresses/resolv-conf';

/** What `--dns`, `--dns-search` and `--dns-option` say; `embedded`: the container is on a network with names. */
export interface ResolvConfOptions {
  dns: string[];
  search: string[];
  options: string[];
  embedded: boolean;
}

/** systemd-resolved's stub, and where it keeps the servers behind it; dockerd looks there as well. */
const stubResolver = '127.0.0.53';
const resolvedPath = '/run/systemd/resolve/resolv.conf';

/** Reads it anew each time: it changes with the host's networks. */
export function readHostResolvConf(path: string): ResolvConf {
  const host = parseResolvConf(textOf(path));
  const stubOnly = host.nameservers.length === 1 && host.nameservers[0] === stubResolver;
  const behind = stubOnly ? parseResolvConf(textOf(resolvedPath)) : host;
  return behind.nameservers.length > 0 ? behind : host;
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return ''; // no file: resolv.conf(5)'s defaults
  }
}

/** As dockerd writes it. */
export function containerResolvConf(host: ResolvConf, wanted: ResolvConfOptions): string {
  const nameservers =
    wanted.dns.length > 0 ? wanted.dns : usableNameservers(host.nameservers, egressNameServer);
  const options = wanted.options.length > 0 ? wanted.options : host.options;
  const hasDots = options.some((option) => option.startsWith('ndots:'));
  return formatResolvConf({
    nameservers: wanted.embedded ? ['127.0.0.11'] : nameservers,
    search: wanted.search.length > 0 ? wanted.search : host.search,
    options: wanted.embedded && !hasDots ? [...options, 'ndots:0'] : options,
  });
}
