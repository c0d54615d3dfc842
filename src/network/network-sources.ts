// Networks that are configurations for others (`--config-only`), and networks that are made from one (`--config-from`). Pure.

import { DaemonError } from '../errors';
import type { NetworkCreateRequest } from './network';
import type { NetworkRecord, NetworkPlan } from './network-record';

/**
 * Completes a plan: a configuration needs no driver, and another network may take what it is to be from one. Throws
 * Docker's refusals, in its order.
 */
export function withSource(
  plan: NetworkPlan,
  wanted: NetworkCreateRequest,
  known: readonly NetworkRecord[],
  requireDriver: () => NetworkPlan['driver'],
): NetworkPlan {
  requireConsistent(plan, wanted);
  if (plan.configOnly === true) return plan;
  const complete = { ...plan, driver: requireDriver() };
  const source = wanted.configFrom ?? '';
  if (source === '') return complete;
  const configuration = known.find(({ name, configOnly }) => name === source && configOnly === true);
  if (configuration === undefined)
    throw new DaemonError('NotFound', `configuration network "${source}" does not exist`);
  const { id, name, enableIpv6, labels, options, ipamDriver, ipamOptions, ipam } = configuration;
  return {
    ...complete,
    configFrom: { id, name },
    enableIpv6,
    labels,
    options,
    ipamDriver,
    ipamOptions,
    subnets: ipam,
  };
}

function requireConsistent(
  plan: NetworkPlan,
  { configFrom = '', ingress = false }: NetworkCreateRequest,
): void {
  if (plan.configOnly === true && (plan.internal || plan.attachable || ingress || plan.scope !== '')) {
    throw forbidden(
      'configuration network can only contain network specific fields. Network operator fields like [ ingress | internal | attachable | scope ] are not supported.',
    );
  }
  if (configFrom === '') return;
  if (plan.configOnly === true)
    throw forbidden('a configuration network cannot depend on another configuration network');
  const hasIpam = plan.ipamDriver !== 'default' || isFilled(plan.ipamOptions) || plan.subnets.length > 0;
  if (hasIpam || plan.enableIpv6 || isFilled(plan.labels)) {
    throw forbidden(
      'user specified configurations are not supported if the network depends on a configuration network',
    );
  }
  if (isFilled(plan.options)) {
    throw forbidden(
      'network driver options are not supported if the network depends on a configuration network',
    );
  }
}

function isFilled(map: object | null): boolean {
  return Object.keys(map ?? {}).length > 0;
}

function forbidden(message: string): DaemonError {
  return new DaemonError('Forbidden', message);
}
