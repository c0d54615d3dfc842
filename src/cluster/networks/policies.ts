// Docker's boundaries between networks as NetworkPolicies. Pure.
//
// Policies only ever allow more to whom at least one of them selects; so one selects every container and allows nothing, and each
// network has one that lets its members reach each other and, unless it is internal, the rest of the world.

import type {
  V1NetworkPolicy,
  V1NetworkPolicyEgressRule,
  V1NetworkPolicyIngressRule,
} from '@kubernetes/client-node';
import { managedLabel, networkLabel } from './labels';

/** Of a network what decides who reaches whom. */
export interface NetworkBoundary {
  id: string;
  internal: boolean;
  /** `com.docker.network.bridge.enable_icc`: whether containers on it reach each other. */
  interContainer: boolean;
}

/** What holds for every container, on whatever network: nobody reaches it, and it reaches nobody. */
export function isolationPolicy(labels: Readonly<Record<string, string>>): V1NetworkPolicy {
  return policy('caisson-isolation', labels, { matchLabels: { [managedLabel]: 'true' } }, [], []);
}

export function networkPolicy(
  { id, internal, interContainer }: NetworkBoundary,
  labels: Readonly<Record<string, string>>,
): V1NetworkPolicy {
  const members = { matchLabels: { [networkLabel(id)]: 'true' } };
  const ingress: V1NetworkPolicyIngressRule[] = interContainer ? [{ _from: [{ podSelector: members }] }] : [];
  const withMembers: V1NetworkPolicyEgressRule[] = interContainer ? [{ to: [{ podSelector: members }] }] : [];
  // A rule without peers is for all of them.
  return policy(policyName(id), labels, members, ingress, internal ? withMembers : [{}]);
}

export function policyName(networkId: string): string {
  return `network-${networkId.slice(0, 12)}`;
}

function policy(
  name: string,
  labels: Readonly<Record<string, string>>,
  podSelector: { matchLabels: Record<string, string> },
  ingress: V1NetworkPolicyIngressRule[],
  egress: V1NetworkPolicyEgressRule[],
): V1NetworkPolicy {
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name, labels: { ...labels } },
    spec: { podSelector, policyTypes: ['Ingress', 'Egress'], ingress, egress },
  };
}
