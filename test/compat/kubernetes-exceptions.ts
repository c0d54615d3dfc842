// Where Caisson in front of a Kubernetes cluster may differ from dockerd 20.10, each with its reason.

import type { Exception } from './exceptions';

const onCluster: readonly Omit<Exception, 'engine'>[] = [
  {
    id: 'pause',
    reason: 'Kubernetes cannot freeze a Pod; docker pause is refused by name.',
    cases: /: pause(: |$|, )|by status$|while it is paused|\bpaused\b/,
    leftOut: true,
  },
  {
    id: 'a network that is none',
    reason: 'Every Pod has one, so --network none is refused; the case asks for it.',
    cases: /inspect: with many options|the host’s network and none|^build: steps: limits/,
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
    id: 'the daemon’s socket',
    reason: 'Nodes have none that a reaper could bind.',
    cases: /goes with its reaper/,
    leftOut: true,
  },
  {
    id: 'sizes of layers',
    reason: 'They are those of the registry’s blobs: compressed, and of empty directories some bytes.',
    cases: /^build: (steps: (metadata|RUN)|files: ADD)/,
    text: [/\|[\d.]+[kMG]?B\b/g, '|<size>'],
  },
  {
    id: 'the order of what a step says',
    reason: 'It is the one in which the step has said it; dockerd may tell of one stream behind the other.',
    cases: /^build: steps: RUN, arguments, cache/,
    text: [/.\[0m(?=Removing)/g, ''],
  },
  {
    id: 'limits of what runs',
    reason: 'They are the Pod’s: update says that the container has to be stopped first.',
    cases: /: rename and update/,
    leftOut: true,
  },
  {
    id: 'where volumes are',
    reason: 'Each is a PersistentVolumeClaim; no path of this machine leads to it.',
    cases: /^volumes|^errors: filters/,
    text: [/<data root>\/volumes\/[^/]+\/_data|pvc\/volume-[0-9a-f]{40}/g, '<volume>'],
  },
  {
    id: 'log drivers',
    reason: 'Lines are kept beside the container; every other driver is refused by name, known or not.',
    cases: /: unknown log driver/,
    leftOut: true,
  },
  {
    id: 'namespaces of another container',
    reason: 'Each container is a Pod of its own; create refuses to share.',
    cases: /container network of nobody/,
    leftOut: true,
  },
  {
    id: 'what networks keep',
    reason:
      'A network is made with a warning where the cluster’s plugin does not enforce policies, as that of the tests.',
    path: /\.body\.Warning$/,
  },
  {
    id: 'subnets',
    reason: 'Networks have none of their own: addresses are those of Pods.',
    path: /\.IPAM\.Config\b/,
  },
  {
    id: 'options of volumes',
    reason:
      'What a volume lies on, and how, is its storage class’s; a size is honoured, and no directory bears its name.',
    cases: /drivers and options that are none|: a long name/,
    leftOut: true,
  },
  {
    id: 'sizes of images',
    reason: 'No layer comes here: the registry tells of the compressed ones.',
    path: /\.(Size|VirtualSize|SharedSize|SizeRootFs)$/,
  },
  {
    id: 'sizes of containers',
    reason: 'Those of their images are part of what is told.',
    cases: /^inspect: size$/,
    leftOut: true,
  },
  {
    id: 'driver',
    reason: 'No storage driver is here.',
    path: /^(stdout\[\d+\]|value\.body)\.Driver$/,
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
