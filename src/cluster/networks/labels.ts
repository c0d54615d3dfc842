// Labels of Pods that networks are selected by.

/** On every Pod that is a container. */
export const managedLabel = 'caisson.io/container';

/** One for each network that a container is on. */
export function networkLabel(networkId: string): string {
  return `network.caisson.io/${networkId.slice(0, 12)}`;
}

/** Docker's predefined networks have the same ids everywhere, since no object of the cluster makes them. */
export const predefinedNetworkIds = {
  bridge: 'b0'.padEnd(64, '0'),
  host: 'f0'.padEnd(64, '0'),
  none: 'e0'.padEnd(64, '0'),
} as const;
