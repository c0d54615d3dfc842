// Where the operator wants Pods, and what none of ours has: of containers, and of those that only try something.

import type { V1PodSpec, V1Toleration } from '@kubernetes/client-node';

export interface PlacementSettings {
  runtimeClass: string | undefined;
  serviceAccount: string | undefined;
  nodeSelector: Readonly<Record<string, string>>;
  tolerations: readonly V1Toleration[];
}

/** No account's token, no variables of Services, never started again by the node. */
export function podPlacement({
  runtimeClass,
  serviceAccount,
  nodeSelector,
  tolerations,
}: PlacementSettings): Partial<V1PodSpec> {
  return {
    restartPolicy: 'Never',
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(runtimeClass === undefined ? {} : { runtimeClassName: runtimeClass }),
    ...(serviceAccount === undefined ? {} : { serviceAccountName: serviceAccount }),
    ...(Object.keys(nodeSelector).length === 0 ? {} : { nodeSelector: { ...nodeSelector } }),
    ...(tolerations.length === 0 ? {} : { tolerations: [...tolerations] }),
  };
}
