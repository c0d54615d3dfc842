// Options that name something of the host that a container in a VM doesn't have.

import type { HostConfig } from '../../docker/types';

/** Warnings for the answer. */
export function effectlessOptions({ Cgroup, CgroupParent, UsernsMode }: HostConfig): string[] {
  const warnings: string[] = [];
  if ((CgroupParent ?? '') !== '') {
    warnings.push('CgroupParent discarded: the container has a virtual machine of its own.');
  }
  if ((Cgroup ?? '') !== '') {
    warnings.push('Cgroup discarded: the container has a virtual machine of its own.');
  }
  if (!['', 'host'].includes(UsernsMode ?? '')) {
    warnings.push(`UsernsMode ${UsernsMode ?? ''} discarded: user namespaces are not remapped.`);
  }
  return warnings;
}
