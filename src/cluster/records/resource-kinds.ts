// The kinds of objects that hold our records, and their definitions.

import type { V1CustomResourceDefinition } from '@kubernetes/client-node';

export const apiGroup = 'caisson.io';
export const apiVersion = 'v1alpha1';

/** On all objects of ours. */
export const managedBy = { 'app.kubernetes.io/managed-by': 'caisson' } as const;

/** By the plural, which paths have. */
export const resourceKinds = {
  containers: 'Container',
  images: 'Image',
  imagenames: 'ImageName',
  networks: 'Network',
  execs: 'Exec',
  dockerevents: 'DockerEvent',
} as const;

export type ResourceName = keyof typeof resourceKinds;

/** What `kubectl get` shows. */
const columns: Partial<Record<ResourceName, { name: string; type: string; jsonPath: string }[]>> = {
  containers: [
    { name: 'Container', type: 'string', jsonPath: '.spec.name' },
    { name: 'Image', type: 'string', jsonPath: '.spec.config.Image' },
    { name: 'State', type: 'string', jsonPath: '.status.state.kind' },
    { name: 'Pod', type: 'string', jsonPath: '.status.pod.name' },
  ],
  imagenames: [{ name: 'Reference', type: 'string', jsonPath: '.spec.name' }],
  networks: [{ name: 'Network', type: 'string', jsonPath: '.spec.name' }],
};

/**
 * Schemas say no more than that there is a spec: what it holds is Docker's, and changes with Docker. `status` is no subresource, so
 * that one write changes both.
 */
export function resourceDefinitions(): V1CustomResourceDefinition[] {
  return (Object.keys(resourceKinds) as ResourceName[]).map((plural) => {
    const kind = resourceKinds[plural];
    const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
    return {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      metadata: { name: `${plural}.${apiGroup}` },
      spec: {
        group: apiGroup,
        scope: 'Namespaced',
        names: { plural, singular: kind.toLowerCase(), kind, listKind: `${kind}List` },
        versions: [
          {
            name: apiVersion,
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: { type: 'object', properties: { spec: anything, status: anything } },
            },
            ...(columns[plural] === undefined ? {} : { additionalPrinterColumns: columns[plural] }),
          },
        ],
      },
    };
  });
}
