// What is installed grants what the code asks for, and no more.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KubernetesObject, V1PolicyRule } from '@kubernetes/client-node';
import { applyObjects } from '../../../../src/cluster/install/apply';
import { installationObjects } from '../../../../src/cluster/install/manifests';
import { clusterRules, dnsRules, namespaceRules } from '../../../../src/cluster/install/rights';
import { apiGroup, resourceKinds } from '../../../../src/cluster/records/resource-kinds';

const source = join(__dirname, '../../../../src/cluster');
const verbs: Record<string, string> = {
  list: 'list',
  read: 'get',
  create: 'create',
  replace: 'update',
  patch: 'patch',
  delete: 'delete',
};
/** Of the typed calls, by the words in their names. */
const resources: Record<string, string> = {
  Pod: '/pods',
  PodResize: '/pods/resize',
  Secret: '/secrets',
  PersistentVolumeClaim: '/persistentvolumeclaims',
  Service: '/services',
  Node: '/nodes',
  NetworkPolicy: 'networking.k8s.io/networkpolicies',
  Lease: 'coordination.k8s.io/leases',
};

/** `verb group/resource` of each call in the code. */
function asked(): string[] {
  const rights = new Set<string>();
  for (const entry of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!entry.endsWith('.ts')) continue;
    const text = readFileSync(join(source, entry), 'utf8');
    const call =
      /(?:core|networking|coordination)\.(list|read|create|replace|patch|delete)(?:Namespaced)?(\w+)\(/g;
    for (const [, verb = '', kind = ''] of text.matchAll(call))
      rights.add(`${verbs[verb]} ${resources[kind] ?? `? ${kind}`}`);
    if (text.includes('new Exec(')) for (const verb of ['get', 'create']) rights.add(`${verb} /pods/exec`);
    if (text.includes('/api/v1/namespaces/${namespace}/pods`')) rights.add('watch /pods');
  }
  return [...rights].sort();
}

function granted(rules: readonly V1PolicyRule[]): string[] {
  return rules
    .flatMap(({ apiGroups = [], resources: names = [], verbs: allowed }) =>
      allowed.flatMap((verb) =>
        apiGroups.flatMap((group) => names.map((name) => `${verb} ${group}/${name}`)),
      ),
    )
    .sort();
}

const daemon = {
  options: ['--kube-registry', 'registry.test/made'],
  image: 'registry.test/caisson:1',
  supervisorImage: 'registry.test/supervisor:1',
  runtimeClass: 'kata',
  tlsSecret: 'caisson-tls',
};

it('grants each call that the code makes, and nothing else', () => {
  const rights = granted([...namespaceRules(), ...clusterRules(), ...dnsRules()]);
  const ofKubernetes = rights.filter((right) => !right.includes(apiGroup));
  expect(ofKubernetes).toEqual(asked());
});

it('lets records of all kinds be kept, and those be followed that are', () => {
  const rights = granted(namespaceRules()).filter((right) => right.includes(apiGroup));
  for (const plural of Object.keys(resourceKinds)) {
    for (const verb of ['list', 'get', 'create', 'update', 'delete'])
      expect(rights).toContain(`${verb} ${apiGroup}/${plural}`);
  }
  expect(rights.filter((right) => right.startsWith('watch')).sort()).toEqual([
    `watch ${apiGroup}/containers`,
    `watch ${apiGroup}/dockerevents`,
  ]);
});

it('grants nothing by a wildcard, and reads of other namespaces only where the DNS is', () => {
  const rules = [...namespaceRules(), ...clusterRules(), ...dnsRules()];
  expect(JSON.stringify(rules)).not.toContain('*');
  expect(dnsRules()).toEqual([expect.objectContaining({ resourceNames: ['kube-dns'], verbs: ['get'] })]);
});

it('has definitions of all records, as the API takes them', () => {
  const definitions = installationObjects({ namespace: 'box' }).filter(
    ({ kind }) => kind === 'CustomResourceDefinition',
  );
  expect(definitions).toHaveLength(Object.keys(resourceKinds).length);
  for (const definition of definitions) {
    const { metadata, spec } = definition as KubernetesObject & {
      spec: { group: string; names: { plural: string; kind: string }; versions: { storage: boolean }[] };
    };
    expect(metadata?.name).toBe(`${spec.names.plural}.${spec.group}`);
    expect(spec.names.plural).toMatch(/^[a-z]+$/);
    expect(spec.versions.filter(({ storage }) => storage)).toHaveLength(1);
  }
});

it('makes the namespace first, and binds every role to the account of that namespace', () => {
  const objects = installationObjects({ namespace: 'box' });
  expect(objects[0]).toMatchObject({ kind: 'Namespace', metadata: { name: 'box' } });
  const bindings = objects.filter(({ kind }) => kind?.endsWith('Binding'));
  expect(bindings).toHaveLength(3);
  for (const binding of bindings) {
    expect(binding).toMatchObject({
      subjects: [{ kind: 'ServiceAccount', name: 'caisson', namespace: 'box' }],
      roleRef: { name: binding.metadata?.name },
    });
  }
  expect(objects.map(({ kind }) => kind)).not.toContain('Deployment');
});

it('runs the daemon with TLS and without rights on its node, where an image is named', () => {
  const objects = installationObjects({ namespace: 'box', daemon });
  const deployment = objects.find(({ kind }) => kind === 'Deployment') as KubernetesObject & {
    spec: { template: { spec: { containers: { args: string[] }[] } } };
  };
  const { spec } = deployment.spec.template;
  expect(spec).toMatchObject({
    serviceAccountName: 'caisson',
    securityContext: { runAsNonRoot: true },
    containers: [{ image: daemon.image, securityContext: { capabilities: { drop: ['ALL'] } } }],
    volumes: expect.arrayContaining([
      expect.objectContaining({
        name: 'tls',
        secret: expect.objectContaining({ secretName: daemon.tlsSecret }) as object,
      }),
      { name: 'data', emptyDir: {} },
    ]) as object,
  });
  const args = spec.containers[0]?.args.join(' ');
  expect(args).toContain('--tlsverify');
  expect(args).toContain(`--kube-supervisor-image ${daemon.supervisorImage}`);
  expect(args).toContain('--kube-runtime-class kata');
  expect(args).toContain('--kube-namespace box');
  expect(args).toContain('--kube-registry registry.test/made');
});

describe('applied', () => {
  const refusal = (code: number): Error => Object.assign(new Error('refused'), { code });
  const role = { kind: 'Role', metadata: { name: 'caisson' } };

  async function outcomes(
    object: KubernetesObject,
    code?: number,
  ): Promise<{ told: string[]; patched: number }> {
    const told: string[] = [];
    let patched = 0;
    const writer = {
      create: () => (code === undefined ? Promise.resolve() : Promise.reject(refusal(code))),
      patch: () => Promise.resolve((patched += 1)),
    };
    await applyObjects(writer, [object], (_, outcome) => told.push(outcome));
    return { told, patched };
  }

  it('makes what is not there, mends what is, and leaves a namespace alone', async () => {
    expect(await outcomes(role)).toEqual({ told: ['made'], patched: 0 });
    expect(await outcomes(role, 409)).toEqual({ told: ['mended'], patched: 1 });
    expect(await outcomes({ kind: 'Namespace' }, 409)).toEqual({ told: ['there'], patched: 0 });
  });

  it('ends at what is refused', async () => {
    await expect(outcomes(role, 403)).rejects.toMatchObject({ code: 'Forbidden' });
  });
});
