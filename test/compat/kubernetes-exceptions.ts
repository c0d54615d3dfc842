// Where Caisson in front of a Kubernetes cluster may differ from dockerd 20.10, each with its reason.

import type { Exception } from './exceptions';

const onCluster: readonly Omit<Exception, 'engine'>[] = [
  {
    id: 'pause',
    reason: 'Kubernetes cannot freeze a Pod; docker pause is refused by name.',
    cases: /: pause(: |$)|by status$|while it is paused|\bpaused\b/,
    leftOut: true,
  },
  {
    id: 'a network that is none',
    reason: 'Every Pod has one, so --network none is refused; the case asks for it.',
    cases: /inspect: with many options/,
    leftOut: true,
  },
  {
    id: 'binds',
    reason: 'Nodes have no files of this machine: a bind that the operator has not allowed is refused.',
    cases: /a path of the host$/,
    leftOut: true,
  },
  {
    id: 'process 1',
    reason: 'It is the supervisor, which starts the command; its signals and its end are the command’s.',
    cases: /process 1 is the command|shares the namespaces of the container/,
    leftOut: true,
  },
  {
    id: 'builds',
    reason: 'There is no builder on a cluster; docker build says so.',
    cases: /goes with its reaper/,
    leftOut: true,
  },
  {
    id: 'sizes of images',
    reason: 'No layer comes here: the registry tells of the compressed ones.',
    path: /\.(Size|VirtualSize|SharedSize|SizeRootFs)$/,
  },
  {
    id: 'driver',
    reason: 'No storage driver is here.',
    path: /^stdout\[\d+\]\.Driver$/,
  },
  {
    id: 'addresses',
    reason: 'The network of Pods is the cluster’s: it has no gateway and no MAC addresses that it tells of.',
    path: /\.(Gateway|IPPrefixLen|MacAddress)$/,
  },
];

export const kubernetesExceptions: readonly Exception[] = onCluster.map((exception) => ({
  ...exception,
  engine: 'kubernetes',
}));
