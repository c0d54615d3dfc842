// client/: Kubernetes' API, by its own client; what it answers becomes our errors here.
//
// One connection to a cluster: configuration, and the typed APIs that the rest uses.

import {
  ApiextensionsV1Api,
  CoordinationV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  KubernetesObjectApi,
  NetworkingV1Api,
  PatchStrategy,
  VersionApi,
  loadYaml,
  type KubernetesObject,
} from '@kubernetes/client-node';
import type { ClusterSettings } from '../../config';
import { DaemonError, errorMessage } from '../../errors';

export interface ClusterApi {
  readonly config: KubeConfig;
  readonly namespace: string;
  readonly core: CoreV1Api;
  readonly networking: NetworkingV1Api;
  readonly coordination: CoordinationV1Api;
  readonly custom: CustomObjectsApi;
  readonly extensions: ApiextensionsV1Api;
  readonly version: VersionApi;
}

type Way = Pick<ClusterSettings, 'kubeconfig' | 'context'>;

function readConfig(settings: Way): KubeConfig {
  const config = new KubeConfig();
  try {
    if (settings.kubeconfig === undefined) config.loadFromDefault();
    else config.loadFromFile(settings.kubeconfig);
    if (settings.context !== undefined) config.setCurrentContext(settings.context);
  } catch (error) {
    throw new DaemonError('InvalidParameter', `no way to a cluster: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  return config;
}

/** Throws InvalidParameter for a configuration that can't be read. */
export function connectCluster(settings: Way & Pick<ClusterSettings, 'namespace'>): ClusterApi {
  const config = readConfig(settings);
  return {
    config,
    namespace: settings.namespace,
    core: config.makeApiClient(CoreV1Api),
    networking: config.makeApiClient(NetworkingV1Api),
    coordination: config.makeApiClient(CoordinationV1Api),
    custom: config.makeApiClient(CustomObjectsApi),
    extensions: config.makeApiClient(ApiextensionsV1Api),
    version: config.makeApiClient(VersionApi),
  };
}

/** Writes objects of any kind. Throws InvalidParameter for a configuration that can't be read. */
export function objectWriter(settings: Way): {
  create(object: KubernetesObject): Promise<unknown>;
  patch(object: KubernetesObject): Promise<unknown>;
} {
  const objects = KubernetesObjectApi.makeApiClient(readConfig(settings));
  // The client writes kinds that it knows by its own names of their fields, and leaves out what it has no name for: a definition's
  // `x-kubernetes-preserve-unknown-fields`, without which nothing of a record is kept. Its reader of YAML gives it those names.
  const known = (object: KubernetesObject): KubernetesObject => loadYaml(JSON.stringify(object));
  return {
    create: (object) => objects.create(known(object)),
    patch: (object) =>
      objects.patch(known(object), undefined, undefined, undefined, undefined, PatchStrategy.MergePatch),
  };
}
