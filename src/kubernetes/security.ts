// securityContext of a Pod and of a container, as Docker's options. A container's wins over its Pod's.

import type { HostConfig } from '../docker/types';
import { ManifestError } from './manifest-error';
import type { SecurityContext } from './schema/container';
import type { PodSecurityContext } from './schema/pod';

export interface SecurityPlan {
  host: Partial<HostConfig>;
  identity: { runAsUser?: number; runAsGroup?: number; runAsNonRoot: boolean };
}

/**
 * Seccomp is Docker's default profile unless `Unconfined` is asked for: Kubernetes' own default is none, from before it
 * could have one. Throws ManifestError.
 */
export function planSecurity(
  own: SecurityContext = {},
  pod: PodSecurityContext = {},
  path = 'securityContext',
): SecurityPlan {
  const runAsUser = own.runAsUser ?? pod.runAsUser;
  const runAsGroup = own.runAsGroup ?? pod.runAsGroup;
  const runAsNonRoot = own.runAsNonRoot ?? pod.runAsNonRoot ?? false;
  if (runAsNonRoot && runAsUser === 0)
    throw new ManifestError(`${path}: runAsUser is 0, and runAsNonRoot is set`);
  if (own.allowPrivilegeEscalation === false && own.privileged === true) {
    throw new ManifestError(`${path}: a privileged container can't do without privilege escalation`);
  }
  const groups = [...(pod.supplementalGroups ?? []), ...(pod.fsGroup === undefined ? [] : [pod.fsGroup])];
  const seccomp = own.seccompProfile ?? pod.seccompProfile;
  const options = [
    ...(own.allowPrivilegeEscalation === false ? ['no-new-privileges'] : []),
    ...(seccomp?.type === 'Unconfined' ? ['seccomp=unconfined'] : []),
    ...(own.procMount === 'Unmasked' ? ['systempaths=unconfined'] : []),
  ];
  return {
    host: {
      ...(own.privileged === true ? { Privileged: true } : {}),
      ...(own.readOnlyRootFilesystem === true ? { ReadonlyRootfs: true } : {}),
      ...(own.capabilities?.add === undefined ? {} : { CapAdd: own.capabilities.add }),
      ...(own.capabilities?.drop === undefined ? {} : { CapDrop: own.capabilities.drop }),
      ...(groups.length === 0 ? {} : { GroupAdd: [...new Set(groups)].map(String) }),
      ...(options.length === 0 ? {} : { SecurityOpt: options }),
    },
    identity: {
      ...(runAsUser === undefined ? {} : { runAsUser }),
      ...(runAsGroup === undefined ? {} : { runAsGroup }),
      runAsNonRoot,
    },
  };
}
