// cluster: Docker's API on a Kubernetes cluster, composed.

import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Backend, CheckpointBackend } from '../api/v1.41/backend';
import type { Config, ClusterSettings } from '../config';
import type { AuthConfig, AuthResponse, BuildCacheItem } from '../docker/types';
import type { NetworkDetails } from '../network/network';
import { RegistryClient } from '../registry/registry-client';
import { ContainerWaits } from '../semantics/containers/container-wait';
import { linkVariables } from '../semantics/containers/links';
import { isActive, isNewEnd } from '../semantics/containers/container-state';
import type { SystemVersions } from '../versions';
import { ClusterBuilds } from './builds/builds';
import { openBuildKitHost, type ClusterBuildKit } from './builds/buildkit-host';
import { commitContainer, type CommitNeeds } from './builds/commit';
import { sweepSteps } from './builds/step-sweep';
import { connectCluster } from './client/cluster-api';
import { Claims, Secrets } from './client/objects';
import { PodResizes } from './client/pod-resizes';
import { ClusterContainers, unsupported } from './containers/container-backend';
import type { ClusterContext } from './containers/context';
import { PodLimits } from './containers/pod-limits';
import { mainContainer } from './containers/pod-plan';
import { Pods } from './containers/pods';
import { removalTold } from './containers/run-events';
import { ClusterImageBackend } from './images/image-backend';
import { ImageCatalog, type ImageNameRecord, type ImageRecord } from './images/image-catalog';
import { PullSecrets } from './images/pull-secrets';
import { ImageArchives } from './layers/image-archives';
import { OwnRegistry } from './layers/own-registry';
import { Workshops } from './layers/workshop';
import { Boundaries } from './networks/boundaries';
import { ClusterContainerNetworks } from './networks/container-networks';
import { ClusterNetworkBackend } from './networks/network-backend';
import { EnforcementProbe, enforcementWarnings } from './networks/enforcement';
import { NetworkCatalog } from './networks/network-catalog';
import { PodNetworks, namesAnnotation } from './networks/pod-networks';
import { PortServices } from './networks/port-services';
import { probeObjects } from './networks/probe-objects';
import { PublishedPorts } from './networks/published-ports';
import { ApiSockets } from './keeper/api-sockets';
import { Expiry, expiringKinds } from './keeper/expiry';
import { serviceObjects } from './networks/service-objects';
import { startKeeper } from './keeper/keeper';
import { LeaseHolder } from './keeper/lease';
import { containerForm, containerIdLabel, idLabelValue } from './records/container-form';
import { ContainerStore } from './records/container-store';
import { CustomRecords, plainForm } from './records/custom-records';
import { ClusterEvents, type EventsRecord } from './records/event-log';
import { managedBy } from './records/resource-kinds';
import { ContainerReach } from './streams/reach';
import { ClusterExecs, type ExecRecord } from './streams/execs';
import { RunHubs } from './streams/run-hubs';
import { ClusterStreams } from './streams/stream-backend';
import { writtenBytes } from './streams/usage';
import { openKubernetesControl } from './supervisor/kubernetes-control';
import { Supervisor } from './supervisor/supervisor';
import { ClusterSystemBackend } from './system/system-backend';
import { BoundFiles } from './volumes/bound-files';
import { ClusterContainerVolumes } from './volumes/container-volumes';
import { ClusterVolumeBackend } from './volumes/volume-backend';

const loginTimeoutMs = 30_000;

export interface Cluster {
  backend: Backend;
  /** What BuildKit's builds work on; undefined: there is no registry for what they make. */
  buildKit: ClusterBuildKit | undefined;
  /** What `system df` tells of the cache of those builds. */
  showBuildCache(usage: () => Promise<BuildCacheItem[]>): void;
  /** The API listens, on this unix socket too: containers that have Docker's socket may reach it. */
  apiListens(path: string): void;
  /** Lets go of everything; containers go on. */
  close(): Promise<void>;
}

/** Resolves when all that the cluster has is known. */
export async function startCluster(
  config: Config,
  settings: ClusterSettings,
  versions: SystemVersions,
): Promise<Cluster> {
  const api = connectCluster(settings);
  const containerRecords = new CustomRecords(api, 'containers', containerForm);
  const eventRecords = new CustomRecords(api, 'dockerevents', plainForm<EventsRecord>());
  const containers = new ContainerStore(containerRecords);
  const events = new ClusterEvents(eventRecords);
  const pods = new Pods(api);
  const waits = new ContainerWaits();
  containers.onChange((container, before, after) => {
    if (after === undefined) void removalTold({ events }, container).then(() => waits.removed(container));
    else if (before !== undefined && isNewEnd(before.state, after.state)) waits.exited(container);
  });

  const publishAs =
    (type: 'image' | 'volume' | 'network') =>
    async (action: string, id: string, attributes: Record<string, string>): Promise<void> => {
      events.publish(type, action, id, attributes);
      await events.flush();
    };
  const secrets = new Secrets(api);
  const catalog = new ImageCatalog({
    images: new CustomRecords(api, 'images', plainForm<ImageRecord>()),
    names: new CustomRecords(api, 'imagenames', plainForm<ImageNameRecord>()),
  });
  const registry = {
    insecureRegistries: config.insecureRegistries,
    mirrors: config.registryMirrors,
    maxDownloadAttempts: config.maxDownloadAttempts,
  };
  const pullSecrets = new PullSecrets(secrets);
  const own =
    settings.registry === undefined ? undefined : new OwnRegistry(settings.registry, pullSecrets, registry);
  const workshops = new Workshops(join(config.dataRoot, 'workshops'));
  const imageNeeds = { catalog, secrets: pullSecrets, registry, own, workshops };
  const images: ClusterImageBackend = new ClusterImageBackend({
    catalog,
    secrets: pullSecrets,
    registry,
    archives: new ImageArchives({ ...imageNeeds, publish: (...event) => images.publish(...event) }),
    users: () =>
      Promise.resolve(
        containers.list().map(({ id, record, state }) => ({
          imageId: record.imageId,
          containerId: id,
          running: isActive(state),
          secret: record.source.secret,
        })),
      ),
    publish: publishAs('image'),
  });
  const volumes = new ClusterVolumeBackend({
    claims: new Claims(api),
    settings: {
      storageClass: settings.storageClass,
      accessMode: settings.volumeAccessMode,
      size: settings.volumeSize,
    },
    labels: managedBy,
    users: () =>
      Promise.resolve(
        containers.list().map(({ id, record }) => ({
          containerId: id,
          volumes: record.mounts.flatMap(({ Name }) => Name ?? []),
        })),
      ),
    publish: publishAs('volume'),
  });
  const files = new BoundFiles(
    { put: (name, data) => secrets.put(name, 'Opaque', data), remove: (name) => secrets.remove(name) },
    true,
  );
  const supervisorIn = (pod: string, container: string): Supervisor =>
    new Supervisor((signal) =>
      openKubernetesControl(api.config, { namespace: api.namespace, pod, container }, signal),
    );
  const supervisors = (pod: string): Supervisor => supervisorIn(pod, mainContainer);
  const networkCatalog = new NetworkCatalog(new CustomRecords(api, 'networks', plainForm<NetworkDetails>()));
  const boundaries = new Boundaries(api);
  const enforcement = new EnforcementProbe(probeObjects(api), settings, managedBy);
  const networkWarnings = async (): Promise<string[]> => enforcementWarnings(await enforcement.known());
  const ports = new PublishedPorts(supervisors);
  const services = new PortServices({
    objects: serviceObjects(api, boundaries),
    labels: managedBy,
    idLabel: (id) => ({ key: containerIdLabel, value: idLabelValue(id) }),
    nodeAddress: (name) => pods.get(name)?.status?.hostIP,
  });
  const podNetworks = new PodNetworks(api);
  const containerNetworks = new ClusterContainerNetworks({
    catalog: networkCatalog,
    containers,
    pods: podNetworks,
    ports,
    services,
    publishAs: settings.publishAs,
    tableOf: (name) => pods.get(name)?.metadata?.annotations?.[namesAnnotation],
    publish: publishAs('network'),
  });
  const networks = new ClusterNetworkBackend({
    catalog: networkCatalog,
    boundaries,
    containers,
    endpoints: containerNetworks,
    warnings: networkWarnings,
    publish: publishAs('network'),
  });
  const hubs = new RunHubs(() => reach);
  const context: ClusterContext = {
    config,
    settings,
    containers,
    pods,
    limits: new PodLimits(new PodResizes(api), pods),
    events,
    waits,
    images,
    volumes: new ClusterContainerVolumes({
      ...{ volumes, containers, files, bindPaths: settings.bindPaths, apiHosts: config.hosts },
    }),
    networks: containerNetworks,
    followers: hubs,
    supervisor: supervisors,
  };
  const reach: ContainerReach = new ContainerReach(context);
  const streams = new ClusterStreams(reach, hubs);
  const exec = new ClusterExecs(
    reach,
    new CustomRecords(api, 'execs', plainForm<ExecRecord>()),
    ({ record }) => linkVariables(containers, record),
  );
  await workshops.clean();
  await Promise.all([containers.start(), events.start(), pods.start(), boundaries.start()]);
  const stopPorts = containerNetworks.followPorts();
  const stopNames = containerNetworks.followNames();
  const verbs = new ClusterContainers(
    context,
    () => catalog.read(),
    (container) => exec.idsOf(container),
    (container) => writtenBytes(reach, container),
  );
  const lease = new LeaseHolder(api, `${hostname()}-${randomBytes(6).toString('hex')}`);
  const buildKit =
    own === undefined
      ? undefined
      : await openBuildKitHost({
          ...{ ...imageNeeds, own, images, context, config },
          supervisor: (pod, container) => supervisorIn(pod, container),
          annotate: (pod, annotations) => podNetworks.patch(pod, { annotations }),
        });
  let apiListens: (path: string) => void = () => undefined;
  const apiPath = new Promise<string>((resolve) => (apiListens = resolve));
  const stopKeeper = startKeeper(context, lease, [
    () => exec.startSweeping(),
    () => enforcement.startRenewing(),
    () => new Expiry(expiringKinds(context, networks, volumes), settings.timesToLive).start(),
    () => sweepSteps(pods),
    () => new ApiSockets(context, apiPath).start(),
  ]);
  const system = new ClusterSystemBackend({
    config,
    versions,
    api,
    context,
    containers: verbs,
    images: () => catalog.read(),
    volumes,
    login: (auth) => login(auth, registry),
    warnings: networkWarnings,
    buildCache: () => buildCache(),
  });
  let buildCache = (): Promise<BuildCacheItem[]> => Promise.resolve([]);
  const makes = { ...imageNeeds, images, reach };
  return {
    backend: {
      containers: allOf(verbs, streams, { ...makes, events }),
      exec,
      images,
      builds: new ClusterBuilds({
        ...makes,
        context,
        hubs,
        engineVersion: versions.engine,
        experimental: config.experimental,
      }),
      system,
      networks,
      volumes,
    },
    buildKit,
    showBuildCache: (usage) => (buildCache = usage),
    apiListens,
    async close() {
      await buildKit?.close();
      stopPorts();
      stopNames();
      ports.closeAll();
      await stopKeeper();
      await Promise.all([containerRecords.close(), eventRecords.close(), pods.close()]);
    },
  };
}

async function login(
  auth: AuthConfig,
  registry: ConstructorParameters<typeof RegistryClient>[2],
): Promise<AuthResponse> {
  const address = (auth.serveraddress ?? '').replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  const domain = ['', 'index.docker.io', 'registry-1.docker.io'].includes(address) ? 'docker.io' : address;
  const client = new RegistryClient(domain, auth, registry);
  const IdentityToken = await client.login(AbortSignal.timeout(loginTimeoutMs));
  return { IdentityToken, Status: 'Login Succeeded' };
}

const noCheckpoints: CheckpointBackend = {
  checkpointCreate: () =>
    Promise.reject(unsupported('docker checkpoint', 'Kubernetes has none that goes on')),
  checkpointList: () => Promise.reject(unsupported('docker checkpoint', 'Kubernetes has none that goes on')),
  checkpointDelete: () =>
    Promise.reject(unsupported('docker checkpoint', 'Kubernetes has none that goes on')),
};

function allOf(
  verbs: ClusterContainers,
  streams: ClusterStreams,
  commits: CommitNeeds,
): Backend['containers'] {
  return {
    ...noCheckpoints,
    create: (...args) => verbs.create(...args),
    list: (...args) => verbs.list(...args),
    inspect: (...args) => verbs.inspect(...args),
    start: (...args) => verbs.start(...args),
    stop: (...args) => verbs.stop(...args),
    restart: (...args) => verbs.restart(...args),
    kill: (...args) => verbs.kill(...args),
    pause: (...args) => verbs.pause(...args),
    unpause: (...args) => verbs.unpause(...args),
    rename: (...args) => verbs.rename(...args),
    wait: (...args) => verbs.wait(...args),
    remove: (...args) => verbs.remove(...args),
    prune: (...args) => verbs.prune(...args),
    update: (...args) => verbs.update(...args),
    commit: (options) => commitContainer(commits, options),
    resize: (...args) => streams.resize(...args),
    top: (...args) => streams.top(...args),
    logs: (...args) => streams.logs(...args),
    attach: (...args) => streams.attach(...args),
    stats: (...args) => streams.stats(...args),
    changes: (...args) => streams.changes(...args),
    export: (...args) => streams.export(...args),
    archiveStat: (...args) => streams.archiveStat(...args),
    archiveGet: (...args) => streams.archiveGet(...args),
    archivePut: (...args) => streams.archivePut(...args),
    copy: (...args) => streams.copy(...args),
  };
}
