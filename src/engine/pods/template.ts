// A Pod's template as Docker's create bodies: what the Pod decides is added to each container's, and what the container may
// not decide is refused.

import type { ContainerCreateBody, EndpointSettings, HostConfig, PortMap } from '../../docker/types';
import { DaemonError } from '../../errors';
import type { PodNetwork, PodTemplate, PodTemplateContainer } from '../../api/v1/types';
import {
  podContainerLabel,
  podCpusLabel,
  podHostnameLabel,
  podLabel,
  podMemoryLabel,
  podRoleLabel,
  sharedPidLabel,
} from '../vms/named-pods';

/** Of Pods and of their containers. Docker wants two letters, which the name of the container for Docker always has. */
const namePattern = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;
const ownLabels = /^caisson\.pod(\.|$)/;

/** Throws InvalidParameter with the path of what is wrong. */
export function validateTemplate(template: PodTemplate): void {
  const { name, containers } = template;
  if (!namePattern.test(name)) {
    refuse('name', `"${name}" is invalid: only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed`);
  }
  if (containers.length === 0) refuse('containers', 'a Pod needs at least one container');
  const names = new Set<string>();
  containers.forEach((container, index) => {
    const path = `containers[${index}]`;
    if (!namePattern.test(container.name)) {
      refuse(`${path}.name`, `"${container.name}" is invalid: only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed`);
    }
    if (names.has(container.name)) refuse(`${path}.name`, `there are two containers "${container.name}"`);
    names.add(container.name);
    validateContainer(container, `${path}.body`);
  });
  if (!containers.some(({ role = 'main' }) => role === 'main')) {
    refuse('containers', 'a Pod needs at least one container of the role main');
  }
  validateLabels(template.labels, 'labels');
  validateResources(template.resources);
  validatePorts(template);
}

function validateContainer({ body }: PodTemplateContainer, path: string): void {
  validateLabels(body.Labels ?? undefined, `${path}.Labels`);
  const { NetworkMode = '', IpcMode = '', PidMode = '', AutoRemove } = body.HostConfig ?? {};
  if (!['', 'default'].includes(NetworkMode)) {
    refuse(
      `${path}.HostConfig.NetworkMode`,
      `the network is the Pod's: name "${NetworkMode}" in its networks`,
    );
  }
  if (Object.keys(body.NetworkingConfig?.EndpointsConfig ?? {}).length > 0) {
    refuse(`${path}.NetworkingConfig`, "the networks are the Pod's");
  }
  for (const [field, mode] of Object.entries({ IpcMode, PidMode })) {
    if (mode.startsWith('container:')) {
      refuse(`${path}.HostConfig.${field}`, "a Pod's containers share with each other, not with another's");
    }
  }
  if (AutoRemove === true) refuse(`${path}.HostConfig.AutoRemove`, "it is the Pod's to be removed");
  if ((body.Hostname ?? '') !== '') refuse(`${path}.Hostname`, "the host name is the Pod's");
}

function validateLabels(labels: Record<string, string> | undefined, path: string): void {
  const own = Object.keys(labels ?? {}).find((label) => ownLabels.test(label));
  if (own !== undefined) refuse(`${path}["${own}"]`, 'labels below caisson.pod are set by the engine');
}

function validateResources(resources: PodTemplate['resources']): void {
  const { memoryBytes, cpus } = resources ?? {};
  if (memoryBytes !== undefined && !(Number.isSafeInteger(memoryBytes) && memoryBytes >= 0)) {
    refuse('resources.memoryBytes', `${memoryBytes} is no number of bytes`);
  }
  if (cpus !== undefined && !(Number.isSafeInteger(cpus) && cpus >= 0)) {
    refuse('resources.cpus', `${cpus} is no number of CPUs`);
  }
}

function validatePorts({ portMappings = [], networks }: PodTemplate): void {
  portMappings.forEach(({ containerPort, hostPort = 0 }, index) => {
    if (!isPort(containerPort) || containerPort === 0) {
      refuse(`portMappings[${index}].containerPort`, `${containerPort} is no port`);
    }
    if (!isPort(hostPort)) refuse(`portMappings[${index}].hostPort`, `${hostPort} is no port`);
  });
  if (portMappings.length > 0 && networks?.length === 0) {
    refuse('portMappings', 'a Pod without a network has no ports to publish');
  }
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 0 && port <= 65_535;
}

function refuse(path: string, message: string): never {
  throw new DaemonError('InvalidParameter', `invalid Pod: ${path}: ${message}`);
}

/** Name of the container for Docker. */
export function dockerName(template: PodTemplate, container: PodTemplateContainer): string {
  return `${template.name}-${container.name}`;
}

/** What Docker's create gets for one container of the Pod. */
export function containerBody(template: PodTemplate, container: PodTemplateContainer): ContainerCreateBody {
  const { body } = container;
  const [network] = template.networks ?? [{ name: 'default' }];
  const published = container === portOwner(template) ? (template.portMappings ?? []) : [];
  const ports = Object.fromEntries(
    published.map(({ containerPort, protocol = 'tcp' }) => [`${containerPort}/${protocol}`, {}]),
  );
  return {
    ...body,
    ...(template.domainname === undefined ? {} : { Domainname: template.domainname }),
    ...(body.HostConfig?.UTSMode === 'host' ? {} : { Hostname: template.hostname ?? template.name }),
    Labels: { ...template.labels, ...body.Labels, ...podLabels(template, container) },
    ...(published.length === 0 ? {} : { ExposedPorts: { ...body.ExposedPorts, ...ports } }),
    HostConfig: {
      ...hostConfigOf(template, body.HostConfig ?? {}),
      NetworkMode: network?.name ?? 'none',
      ...(published.length === 0 ? {} : { PortBindings: portBindings(template, body.HostConfig ?? {}) }),
    },
    NetworkingConfig: {
      EndpointsConfig: Object.fromEntries(
        (template.networks ?? []).map((wanted) => [wanted.name, endpointSettings(wanted)]),
      ),
    },
  };
}

/** The Pod's ports are those of the first container that stays. */
function portOwner({ containers }: PodTemplate): PodTemplateContainer | undefined {
  return containers.find(({ role = 'main' }) => role === 'main');
}

function podLabels(template: PodTemplate, container: PodTemplateContainer): Record<string, string> {
  const { memoryBytes, cpus } = template.resources ?? {};
  return {
    [podLabel]: template.name,
    [podContainerLabel]: container.name,
    ...((container.role ?? 'main') === 'main' ? {} : { [podRoleLabel]: container.role ?? '' }),
    ...(template.hostname === undefined ? {} : { [podHostnameLabel]: template.hostname }),
    ...(template.shareProcessNamespace === true ? { [sharedPidLabel]: 'true' } : {}),
    ...(memoryBytes === undefined ? {} : { [podMemoryLabel]: String(memoryBytes) }),
    ...(cpus === undefined ? {} : { [podCpusLabel]: String(cpus) }),
  };
}

function hostConfigOf(template: PodTemplate, own: HostConfig): HostConfig {
  const { dns, extraHosts, restartPolicy } = template;
  const policy = restartPolicy && {
    Name: restartPolicy.name,
    MaximumRetryCount: restartPolicy.maximumRetryCount ?? 0,
  };
  return {
    ...own,
    Dns: [...(own.Dns ?? []), ...(dns?.servers ?? [])],
    DnsSearch: [...(own.DnsSearch ?? []), ...(dns?.searches ?? [])],
    DnsOptions: [...(own.DnsOptions ?? []), ...(dns?.options ?? [])],
    ExtraHosts: [...(own.ExtraHosts ?? []), ...(extraHosts ?? [])],
    ...((own.RestartPolicy?.Name ?? '') === '' && policy !== undefined ? { RestartPolicy: policy } : {}),
  };
}

function portBindings({ portMappings = [] }: PodTemplate, own: HostConfig): PortMap {
  const bindings = { ...own.PortBindings };
  for (const { containerPort, hostPort = 0, protocol = 'tcp', hostIp = '' } of portMappings) {
    const key = `${containerPort}/${protocol}`;
    const binding = { HostIp: hostIp, HostPort: hostPort === 0 ? '' : String(hostPort) };
    bindings[key] = [...(bindings[key] ?? []), binding];
  }
  return bindings;
}

function endpointSettings({ aliases, ipv4Address, ipv6Address, macAddress }: PodNetwork): EndpointSettings {
  return {
    ...(aliases === undefined ? {} : { Aliases: aliases }),
    ...(macAddress === undefined ? {} : { MacAddress: macAddress }),
    ...(ipv4Address === undefined && ipv6Address === undefined
      ? {}
      : {
          IPAMConfig: {
            ...(ipv4Address === undefined ? {} : { IPv4Address: ipv4Address }),
            ...(ipv6Address === undefined ? {} : { IPv6Address: ipv6Address }),
          },
        }),
  };
}
