// resolv.conf: the host's, and what containers get. Pure.

import { parseAddress } from './addresses';

export interface ResolvConf {
  nameservers: string[];
  search: string[];
  options: string[];
}

/** Reads resolv.conf(5). What is malformed is passed over, as the C library does. */
export function parseResolvConf(text: string): ResolvConf {
  const result: ResolvConf = { nameservers: [], search: [], options: [] };
  for (const line of text.split('\n')) {
    const [keyword = '', ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    if (keyword === 'nameserver' && values[0] !== undefined) result.nameservers.push(values[0]);
    else if (keyword === 'search' || keyword === 'domain')
      result.search = values; // the last one counts
    else if (keyword === 'options') result.options.push(...values);
  }
  return result;
}

/**
 * The name servers as containers reach them. One on the host's loopback is reached at `loopbackAddress`, once. Zones
 * mean nothing outside of the host, so such addresses are left out.
 */
export function usableNameservers(nameservers: readonly string[], loopbackAddress: string): string[] {
  const reachable = nameservers.flatMap((server) => {
    const address = parseAddress(server);
    if (address === undefined) return [];
    const loopback = address.family === 4 ? address.value >> 24n === 127n : address.value === 1n;
    return [loopback ? loopbackAddress : server];
  });
  const unique = [...new Set(reachable)].filter((server) => server !== '');
  return unique.length > 0 || loopbackAddress === '' ? unique : [loopbackAddress];
}

/** Text in the order in which Docker writes it. */
export function formatResolvConf({ nameservers, search, options }: ResolvConf): string {
  const lines = [
    ...(search.length > 0 && search[0] !== '.' ? [`search ${search.join(' ')}`] : []),
    ...nameservers.map((server) => `nameserver ${server}`),
    ...(options.length > 0 ? [`options ${options.join(' ')}`] : []),
  ];
  return lines.map((line) => `${line}\n`).join('');
}
