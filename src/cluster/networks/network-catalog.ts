// The networks of the namespace: Docker's predefined ones, and records of the others.

import { createHash } from 'node:crypto';
import { DaemonError } from '../../errors';
import type { NetworkDetails } from '../../network/network';
import type { RecordStore, Stored } from '../contract/record-store';
import { predefinedNetworkIds } from './labels';

const predefined: NetworkDetails[] = (['bridge', 'host', 'none'] as const).map((name) => ({
  id: predefinedNetworkIds[name],
  name,
  driver: name === 'none' ? 'null' : name,
  internal: false,
  created: '2024-01-01T00:00:00.000000000Z',
  enableIpv6: false,
  attachable: false,
  labels: {},
  options: {},
  ipamDriver: 'default',
  ipamOptions: null,
  ipam: [],
  userSubnet: false,
}));

export class NetworkCatalog {
  readonly #records: RecordStore<NetworkDetails>;

  constructor(records: RecordStore<NetworkDetails>) {
    this.#records = records;
  }

  async list(): Promise<NetworkDetails[]> {
    return [...predefined, ...(await this.#records.list()).map(({ value }) => value)];
  }

  /** By id, then name, then unique id prefix, as dockerd. Throws NotFound, InvalidParameter for an ambiguous one. */
  async resolve(ref: string): Promise<NetworkDetails> {
    const all = await this.list();
    const exact = all.find(({ id }) => id === ref) ?? all.find(({ name }) => name === ref);
    if (exact !== undefined) return exact;
    const found = ref === '' ? [] : all.filter(({ id }) => id.startsWith(ref));
    if (found.length > 1) {
      const matches = `${found.length} matches found based on ID prefix`;
      throw new DaemonError('InvalidParameter', `${matches}: network ${ref} is ambiguous`);
    }
    const [only] = found;
    if (only === undefined) throw new DaemonError('NotFound', `network ${ref} not found`);
    return only;
  }

  /** Throws Conflict where there is one of this name: on a cluster names are unique. */
  async add(network: NetworkDetails): Promise<void> {
    await this.#records.create(objectName(network.name), network);
  }

  async remove({ name, id }: NetworkDetails): Promise<void> {
    const stored: Stored<NetworkDetails> = await this.#records.get(objectName(name));
    if (stored.value.id !== id) throw new DaemonError('NotFound', `network ${id} not found`);
    await this.#records.remove(stored.name, stored.version);
  }
}

function objectName(name: string): string {
  return `network-${createHash('sha256').update(name).digest('hex').slice(0, 40)}`;
}
