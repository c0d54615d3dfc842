// What create refuses, in Docker's words and with Docker's codes, and what it warns of. Nothing is ignored silently.

import type { ContainerConfig, HealthConfig, HostConfig } from '../../docker/types';
import { DaemonError, type ErrorCode } from '../../errors';
import { parseAddress } from '../../network/addresses/addresses';
import { normalizeCapabilities } from '../../translate/capabilities';
import { parseSecurityOptions } from '../../translate/security-options';
import { parseSignal } from '../../translate/signals';
import { validateMounts } from './mount-validation';
import { validateResources } from './resource-validation';

export interface HostFacts {
  cpus: number;
  /** Whether containers on the host's network have part in it. */
  hostNetworking: boolean;
  /** Throws Docker's refusals of a log driver or its options. */
  validateLog: (config: {
    Type?: string | undefined;
    Config?: Record<string, string> | null | undefined;
  }) => void;
}

/** Throws what Docker would; returns the warnings of the answer. */
export function validateContainer(
  config: ContainerConfig,
  hostConfig: HostConfig,
  host: HostFacts,
): string[] {
  validateNetworkMode(config, hostConfig);
  validateConfig(config);
  if (hostConfig.UTSMode === 'host' && (config.Hostname ?? '') !== '') {
    invalid('conflicting options: hostname and the UTS mode');
  }
  return validateHostConfig(hostConfig, host);
}

function invalid(message: string, code: ErrorCode = 'InvalidParameter'): never {
  throw new DaemonError(code, message);
}

function validateConfig(config: ContainerConfig): void {
  const workingDir = config.WorkingDir ?? '';
  if (workingDir !== '' && !workingDir.startsWith('/')) {
    invalid(`the working directory '${workingDir}' is invalid, it needs to be an absolute path`);
  }
  if ((config.StopSignal ?? '') !== '') parseSignal(config.StopSignal ?? '');
  for (const entry of config.Env ?? []) {
    if (entry === '' || entry.startsWith('=')) invalid(`invalid environment variable: ${entry}`);
  }
  validateHealthcheck(config.Healthcheck);
}

const nanosecondsPerMillisecond = 1e6;

function validateHealthcheck(health: HealthConfig | null | undefined): void {
  if (health === null || health === undefined) return;
  for (const name of ['Interval', 'Timeout', 'StartPeriod'] as const) {
    const value = health[name] ?? 0;
    if (value !== 0 && value < nanosecondsPerMillisecond) {
      invalid(`${name} in Healthcheck cannot be less than 1ms`);
    }
  }
  if ((health.Retries ?? 0) < 0) invalid('Retries in Healthcheck cannot be negative');
}

function validateHostConfig(hostConfig: HostConfig, host: HostFacts): string[] {
  const warnings: string[] = [];
  if ((hostConfig.AutoRemove ?? false) && !['', 'no'].includes(hostConfig.RestartPolicy?.Name ?? '')) {
    invalid("can't create 'AutoRemove' container with restart policy");
  }
  for (const extra of hostConfig.ExtraHosts ?? []) validateExtraHost(extra);
  validatePorts(hostConfig);
  validateRestartPolicy(hostConfig.RestartPolicy);
  normalizeCapabilities(hostConfig.CapAdd, 'CapAdd');
  normalizeCapabilities(hostConfig.CapDrop, 'CapDrop');
  validateIsolation(hostConfig);
  parseSecurityOptions(hostConfig.SecurityOpt);
  validateResources(hostConfig, host, warnings);
  validateNamespaces(hostConfig, host, warnings);
  host.validateLog({ Type: hostConfig.LogConfig?.Type, Config: hostConfig.LogConfig?.Config });
  validateStorageOptions(hostConfig.StorageOpt);
  validateMounts(hostConfig, warnings);
  validateLinks(hostConfig);
  return warnings;
}

function validateExtraHost(entry: string): void {
  const colon = entry.indexOf(':');
  if (colon <= 0) invalid(`bad format for add-host: "${entry}"`);
  const address = entry.slice(colon + 1);
  if (address === 'host-gateway') return;
  if (parseAddress(address) === undefined) invalid(`invalid IP address in add-host: "${address}"`);
}

function validatePorts(hostConfig: HostConfig): void {
  const isPort = (text: string): boolean => /^\d+$/.test(text) && Number(text) <= 0xffff;
  const isRange = (text: string): boolean => {
    const [first = '', last = first] = text.split('-');
    return isPort(first) && isPort(last) && Number(first) <= Number(last);
  };
  for (const [container, bindings] of Object.entries(hostConfig.PortBindings ?? {})) {
    const [port = ''] = container.split('/');
    // Only the host's side may be a range.
    if (!isPort(port)) invalid(`invalid port specification: "${port}"`);
    for (const { HostPort = '' } of bindings ?? []) {
      if (HostPort !== '' && !isRange(HostPort)) invalid(`invalid port specification: "${HostPort}"`);
    }
  }
}

/** Throws InvalidParameter in Docker's words. */
export function validateRestartPolicy(policy: HostConfig['RestartPolicy']): void {
  const name = policy?.Name ?? '';
  const retries = policy?.MaximumRetryCount ?? 0;
  switch (name) {
    case 'always':
    case 'unless-stopped':
    case 'no':
      if (retries !== 0) invalid(`maximum retry count cannot be used with restart policy '${name}'`);
      return;
    case 'on-failure':
      if (retries < 0) invalid('maximum retry count cannot be negative');
      return;
    case '':
      return;
    default:
      // A client may send any text.
      invalid(`invalid restart policy '${String(name)}'`);
  }
}

function validateIsolation(hostConfig: HostConfig): void {
  const isolation = hostConfig.Isolation ?? '';
  if (!['', 'default'].includes(isolation.toLowerCase())) {
    invalid(`Invalid isolation: "${isolation}" - linux only supports 'default'`, 'Internal');
  }
  const runtime = hostConfig.Runtime ?? '';
  if (!['', 'runc'].includes(runtime)) invalid(`Unknown runtime specified ${runtime}`);
  if ((hostConfig.IOMaximumBandwidth ?? 0) !== 0) {
    invalid('Invalid QoS settings: linux does not support configuration of maximum bandwidth', 'Internal');
  }
  if ((hostConfig.IOMaximumIOps ?? 0) !== 0) {
    invalid('Invalid QoS settings: linux does not support configuration of maximum IOPs', 'Internal');
  }
}

/** What can't go with a namespace of another's, in dockerd's order. */
function validateNetworkMode(config: ContainerConfig, hostConfig: HostConfig): void {
  const network = hostConfig.NetworkMode ?? '';
  const conflict = (isSo: boolean, what: string): void => {
    if (isSo) invalid(`conflicting options: ${what}`);
  };
  const some = (value: object | null | undefined): boolean => Object.keys(value ?? {}).length > 0;
  const undefinedBehavior = "can't be used with links. This would result in undefined behavior";
  const named = (config.Hostname ?? '') !== '';
  conflict(hostConfig.UTSMode === 'host' && named, 'hostname and the UTS mode');
  conflict(network === 'host' && some(hostConfig.Links), `host type networking ${undefinedBehavior}`);
  const joins = network.startsWith('container:');
  if (network === 'container' || network === 'container:') {
    invalid('Invalid network mode: invalid container format container:<name|id>');
  }
  conflict(joins && named, 'hostname and the network mode');
  conflict(joins && some(hostConfig.Links), `container type network ${undefinedBehavior}`);
  conflict(joins && some(hostConfig.Dns), 'dns and the network mode');
  conflict(joins && some(hostConfig.ExtraHosts), 'custom host-to-IP mapping and the network mode');
  conflict(
    (joins || network === 'host') && (config.MacAddress ?? '') !== '',
    'mac-address and the network mode',
  );
  conflict(
    joins && (some(hostConfig.PortBindings) || (hostConfig.PublishAllPorts ?? false)),
    'port publishing and the container type network mode',
  );
  conflict(joins && some(config.ExposedPorts), 'port exposing and the container type network mode');
}

function validateNamespaces(hostConfig: HostConfig, host: HostFacts, warnings: string[]): void {
  const network = hostConfig.NetworkMode ?? '';
  if (network === 'host') {
    if (!host.hostNetworking) {
      warnings.push(
        'Host networking is turned off (--host-networking=false): the container gets an address of its own.',
      );
    }
    if (Object.keys(hostConfig.PortBindings ?? {}).length > 0) {
      warnings.push('Published ports are discarded when using host network mode');
    }
  }
  const cgroup = hostConfig.CgroupnsMode ?? '';
  if (!['', 'private', 'host'].includes(cgroup)) invalid(`invalid cgroup namespace mode: ${cgroup}`);
  const ownNetwork = network !== 'none' && !network.startsWith('container:');
  for (const [option, mode] of [
    ['PidMode', hostConfig.PidMode ?? ''],
    ['IpcMode', hostConfig.IpcMode ?? ''],
  ] as const) {
    if (!mode.startsWith('container:') || !ownNetwork) continue;
    warnings.push(
      `${option} ${mode} means that the container runs in that one's virtual machine: it shares its network too.`,
    );
  }
  const hostShared = [
    ['PidMode', hostConfig.PidMode],
    ['IpcMode', hostConfig.IpcMode],
    ['UTSMode', hostConfig.UTSMode],
    ['CgroupnsMode', cgroup],
  ].filter(([, mode]) => mode === 'host');
  for (const [option] of hostShared) {
    warnings.push(`${option ?? ''} host means the container's own virtual machine, not the Docker host.`);
  }
}

const sizePattern = /^(\d+(?:\.\d+)?) ?([kKmMgGtTpP])?[iI]?[bB]?$/;

/** `size` of StorageOpt in bytes; undefined when it isn't given. */
export function storageSizeBytes(options: Record<string, string> | null | undefined): number | undefined {
  const text = options?.['size'];
  if (text === undefined) return undefined;
  const match = sizePattern.exec(text.trim());
  if (match === null) return invalid(`invalid size: '${text}'`, 'Internal');
  const exponent = ' kmgtp'.indexOf((match[2] ?? ' ').toLowerCase());
  return Math.floor(Number(match[1]) * 1024 ** exponent);
}

const leastDiskBytes = 4 * 2 ** 20;

function validateStorageOptions(options: Record<string, string> | null | undefined): void {
  for (const name of Object.keys(options ?? {})) {
    if (name !== 'size') invalid(`Unknown option ${name}`, 'Internal');
  }
  const bytes = storageSizeBytes(options);
  if (bytes !== undefined && bytes < leastDiskBytes) invalid('size: the smallest disk is 4MB');
}

function validateLinks(hostConfig: HostConfig): void {
  for (const link of hostConfig.Links ?? []) {
    if (link === '') invalid('empty string specified for links', 'Internal');
    if (link.split(':').length > 2) invalid(`bad format for links: ${link}`, 'Internal');
  }
}
