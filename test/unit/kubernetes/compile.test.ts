import fc from 'fast-check';
import { compileManifests } from '../../../src/kubernetes/compile';
import { parseManifests } from '../../../src/kubernetes/manifest';
import { parseBytes, parseMilliCpus } from '../../../src/kubernetes/quantity';
import { expandVariables } from '../../../src/kubernetes/variables';

function compile(text: string) {
  const { manifests, warnings } = parseManifests(text);
  return { ...compileManifests(manifests, { nodeName: 'node', uidOf: (name) => `uid-${name}` }), warnings };
}

function pod(spec: string): string {
  return `{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: a}}, spec: ${spec}}`;
}

const container = '{name: c, image: "debian:12"}';

describe('a Pod', () => {
  test('has its init containers first, then sidecars and main ones in their order', () => {
    const { workloads } = compile(
      pod(
        `{initContainers: [{name: i, image: x}, {name: s, image: x, restartPolicy: Always}], containers: [${container}]}`,
      ),
    );
    const [plan] = workloads[0]!.pods;
    expect(plan!.template.containers.map(({ name, role }) => [name, role])).toEqual([
      ['i', 'init'],
      ['s', 'sidecar'],
      ['c', 'main'],
    ]);
    expect(plan!.template.restartPolicy).toEqual({ name: 'no' });
    expect(plan!.gracePeriodSeconds).toBe(30);
  });

  test('gets values of ConfigMaps, Secrets and fields, and variables in its command', () => {
    const { workloads } = compile(`
apiVersion: v1
kind: ConfigMap
metadata: {name: m}
data: {word: hello}
---
apiVersion: v1
kind: Secret
metadata: {name: s}
data: {token: czNjcmV0}
---
${pod(`{containers: [{name: c, image: x, command: [echo, $(B), $$(B), $(NONE)],
  resources: {limits: {memory: 64Mi, cpu: 500m}},
  envFrom: [{secretRef: {name: s}, prefix: K_}],
  env: [{name: A, valueFrom: {configMapKeyRef: {name: m, key: word}}}, {name: B, value: $(A)-world},
    {name: P, valueFrom: {fieldRef: {fieldPath: metadata.name}}},
    {name: MEM, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}]}]}`)}`);
    const { body } = workloads[0]!.pods[0]!.template.containers[0]!;
    expect(body.Entrypoint).toEqual(['echo', 'hello-world', '$(B)', '$(NONE)']);
    expect(body.Env).toEqual(['K_token=s3cret', 'A=hello', 'B=hello-world', 'P=web', 'MEM=64']);
    expect(body.HostConfig).toMatchObject({ Memory: 64 * 2 ** 20, NanoCpus: 5e8 });
  });

  test('has volumes of files, of its own and of claims', () => {
    const { workloads } = compile(`
{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: "1", b: "2"}}
---
${pod(`{securityContext: {fsGroup: 7}, containers: [{name: c, image: x, volumeMounts: [
  {name: f, mountPath: /f}, {name: e, mountPath: /e, subPath: x/y}, {name: p, mountPath: /p, readOnly: true}]}],
  volumes: [{name: f, configMap: {name: m, items: [{key: b, path: d/b, mode: 256}]}}, {name: e, emptyDir: {}},
    {name: p, persistentVolumeClaim: {claimName: data}}]}`)}`);
    const plan = workloads[0]!.pods[0]!;
    expect(plan.volumes[0]!.source).toEqual({
      kind: 'files',
      files: [{ path: 'd/b', mode: 0o400, content: Buffer.from('2') }],
    });
    expect(plan.volumes[1]).toMatchObject({ volumeName: 'web-e', subPaths: ['x/y'], fsGroup: 7 });
    expect(plan.template.containers[0]!.body.HostConfig?.Mounts).toMatchObject([
      { Source: 'web-f', Target: '/f', ReadOnly: true },
      { Source: 'web-e', Target: '/e', VolumeOptions: { Subpath: 'x/y' } },
      { Source: 'data', Target: '/p', ReadOnly: true },
    ]);
  });

  test('has probes with ports by name', () => {
    const { workloads } = compile(
      pod(`{containers: [{name: c, image: x, ports: [{name: http, containerPort: 80, hostPort: 8080}],
        livenessProbe: {httpGet: {port: http, path: /health}}, readinessProbe: {tcpSocket: {port: 80}}}]}`),
    );
    const plan = workloads[0]!.pods[0]!;
    expect(plan.containers[0]!.probes).toMatchObject({
      liveness: {
        action: { kind: 'http', port: 80, path: '/health' },
        periodSeconds: 10,
        failureThreshold: 3,
      },
      readiness: { action: { kind: 'tcp', port: 80 } },
    });
    expect(plan.template.portMappings).toEqual([{ containerPort: 80, hostPort: 8080, protocol: 'tcp' }]);
  });
});

describe('workloads', () => {
  const template = `template: {metadata: {labels: {app: a}}, spec: {containers: [${container}]}}`;

  test('have as many Pods as replicas', () => {
    const { workloads } = compile(
      `{apiVersion: apps/v1, kind: Deployment, metadata: {name: d},
        spec: {replicas: 2, selector: {matchLabels: {app: a}}, ${template}}}`,
    );
    expect(workloads[0]!.pods.map(({ template: { name } }) => name)).toEqual(['d-0', 'd-1']);
  });

  test('of a StatefulSet have a volume each', () => {
    const { workloads, claims } = compile(
      `{apiVersion: apps/v1, kind: StatefulSet, metadata: {name: s}, spec: {replicas: 2, selector: {}, ${template},
        volumeClaimTemplates: [{metadata: {name: v}, spec: {}}]}}`,
    );
    expect(claims).toEqual(['v-s-0', 'v-s-1']);
    expect(workloads[0]!.ordered).toBe(true);
  });

  test('of a Job have a Pod for each completion', () => {
    const { workloads } = compile(
      `{apiVersion: batch/v1, kind: Job, metadata: {name: j}, spec: {completions: 3, parallelism: 2,
        completionMode: Indexed, template: {spec: {restartPolicy: Never, containers: [${container}]}}}}`,
    );
    expect(workloads[0]!.job).toEqual({ parallelism: 2, backoffLimit: 6 });
    expect(workloads[0]!.pods[2]!.template.containers[0]!.body.Env).toEqual(['JOB_COMPLETION_INDEX=2']);
  });
});

describe('refusals name the path', () => {
  test.each([
    [
      `{containers: [{name: c, image: x, livenessProbe: {grpc: {port: 1}}}]}`,
      'spec.containers[0].livenessProbe.grpc',
    ],
    [`{hostNetwork: true, containers: [${container}]}`, 'spec.hostNetwork'],
    [`{containers: [{name: c, image: x, nonsense: 1}]}`, 'spec.containers[0].nonsense'],
    [`{containers: [{name: c, image: x, volumeMounts: [{name: v, mountPath: /v}]}]}`, 'volumeMounts[0].name'],
    [`{containers: [${container}, ${container}]}`, 'spec.containers[1].name'],
  ])('%s', (spec, path) => {
    expect(() => compile(pod(spec))).toThrow(path);
  });

  test('a Service', () => {
    expect(() => compile('{apiVersion: v1, kind: Service, metadata: {name: s}}')).toThrow('hostPort');
  });
});

test('what only a scheduler reads is warned about', () => {
  const { warnings } = compile(pod(`{nodeSelector: {a: b}, tolerations: [], containers: [${container}]}`));
  expect(warnings.join()).toMatch(/nodeSelector.*tolerations/);
});

test('quantities are the same in every unit', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), (count) => {
      expect(parseBytes(`${count}Ki`, '')).toBe(count * 1024);
      expect(parseBytes(`${count}k`, '')).toBe(count * 1000);
      expect(parseMilliCpus(`${count}m`, '')).toBe(count);
    }),
  );
});

test('text without a dollar sign is not changed by expansion', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const plain = text.replaceAll('$', '');
      expect(expandVariables(plain, new Map())).toBe(plain);
      expect(expandVariables(plain.replaceAll(/^/g, '$$$$'), new Map())).toBe(`$${plain}`);
    }),
  );
});
