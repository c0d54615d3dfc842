// install/: what a cluster must have before a daemon can stand in front of it.
//
// These objects, in the order in which they can be made. Pure.

import type { KubernetesObject, V1Deployment, V1PolicyRule, V1Service } from '@kubernetes/client-node';
import { managedBy, resourceDefinitions } from '../records/resource-kinds';
import { clusterRules, dnsRules, namespaceRules } from './rights';

/** The daemon inside of the cluster. */
export interface DaemonPod {
  image: string;
  supervisorImage: string;
  /** Of the Pods that containers become; undefined: the nodes' own. */
  runtimeClass: string | undefined;
  /** Secret of the namespace with `ca.pem`, `cert.pem` and `key.pem`: who reaches the API may do what the daemon may. */
  tlsSecret: string;
  /** More of the command line of `caisson daemon`. */
  options: readonly string[];
}

export interface Installation {
  namespace: string;
  /** Undefined: the daemon runs elsewhere. */
  daemon?: DaemonPod | undefined;
}

const name = 'caisson';
const rbac = 'rbac.authorization.k8s.io';
const apiPort = 2376;
const certificates = '/etc/caisson/tls';
/** What it needs room for: layers that it reads, writes or builds, and its socket. Nothing that has to outlive it. */
const scratch = { data: '/var/lib/caisson', run: '/run/caisson', tmp: '/tmp' };
/** Nobody's: the daemon owns no files. */
const userId = 65532;
const daemonLabels = { 'app.kubernetes.io/name': 'caisson', 'app.kubernetes.io/component': 'daemon' };

export function installationObjects({ namespace, daemon }: Installation): KubernetesObject[] {
  // Roles of the whole cluster are of one namespace's daemon each: another's must not take them over.
  const global = `${name}-${namespace}`;
  return [
    { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
    ...resourceDefinitions().map((definition) => labelled(definition)),
    labelled({
      apiVersion: 'v1',
      kind: 'ServiceAccount',
      metadata: { name, namespace },
    }),
    ...granted('Role', { name, namespace }, namespaceRules(), namespace),
    ...granted('Role', { name: global, namespace: 'kube-system' }, dnsRules(), namespace),
    ...granted('ClusterRole', { name: global }, clusterRules(), namespace),
    ...(daemon === undefined ? [] : [labelled(deployment(namespace, daemon)), labelled(service(namespace))]),
  ];
}

function labelled<Item extends KubernetesObject>(object: Item): Item {
  return { ...object, metadata: { ...object.metadata, labels: { ...managedBy } } };
}

/** The role, and that the daemon's account has it. */
function granted(
  kind: 'Role' | 'ClusterRole',
  metadata: { name: string; namespace?: string },
  rules: V1PolicyRule[],
  accountNamespace: string,
): KubernetesObject[] {
  const role = { apiVersion: `${rbac}/v1`, kind, metadata, rules };
  const binding = {
    apiVersion: `${rbac}/v1`,
    kind: `${kind}Binding`,
    metadata,
    roleRef: { apiGroup: rbac, kind, name: metadata.name },
    subjects: [{ kind: 'ServiceAccount', name, namespace: accountNamespace }],
  };
  return [role, binding].map(labelled);
}

function deployment(namespace: string, daemon: DaemonPod): V1Deployment & KubernetesObject {
  const args = [
    'daemon',
    ...['--backend', 'kubernetes', '--kube-namespace', namespace],
    ...['--kube-supervisor-image', daemon.supervisorImage],
    ...(daemon.runtimeClass === undefined ? [] : ['--kube-runtime-class', daemon.runtimeClass]),
    ...['--host', `tcp://0.0.0.0:${apiPort}`, '--tlsverify'],
    ...['--tlscacert', `${certificates}/ca.pem`],
    ...['--tlscert', `${certificates}/cert.pem`],
    ...['--tlskey', `${certificates}/key.pem`],
    ...daemon.options,
  ];
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name, namespace },
    spec: {
      replicas: 1,
      selector: { matchLabels: daemonLabels },
      template: {
        metadata: { labels: daemonLabels },
        spec: {
          serviceAccountName: name,
          enableServiceLinks: false,
          securityContext: {
            runAsNonRoot: true,
            runAsUser: userId,
            runAsGroup: userId,
            fsGroup: userId,
            seccompProfile: { type: 'RuntimeDefault' },
          },
          containers: [
            {
              name: 'daemon',
              image: daemon.image,
              command: ['caisson'],
              args,
              ports: [{ name: 'docker', containerPort: apiPort }],
              readinessProbe: { tcpSocket: { port: apiPort } },
              securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } },
              volumeMounts: [
                { name: 'tls', mountPath: certificates, readOnly: true },
                ...Object.entries(scratch).map(([volume, mountPath]) => ({ name: volume, mountPath })),
              ],
            },
          ],
          volumes: [
            { name: 'tls', secret: { secretName: daemon.tlsSecret, defaultMode: 0o440 } },
            ...Object.keys(scratch).map((volume) => ({ name: volume, emptyDir: {} })),
          ],
        },
      },
    },
  };
}

function service(namespace: string): V1Service & KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace },
    spec: { selector: daemonLabels, ports: [{ name: 'docker', port: apiPort, targetPort: 'docker' }] },
  };
}
