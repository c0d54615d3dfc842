// Our manifests are Kubernetes': Debian's kubectl reads them. For `create` it asks a server which kinds there are, and no more.

import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseManifests } from '../../../src/kubernetes/manifest';
import { projectDir } from '../../support/process/project-dir';

const kubectl = join(projectDir, 'build/kubectl/usr/bin/kubectl'); // scripts/fetch-kubectl.sh
const manifestsDir = join(projectDir, 'test/support/manifests');

const kinds: Record<string, string[]> = {
  v1: ['Pod', 'ConfigMap', 'Secret', 'PersistentVolumeClaim'],
  'apps/v1': ['Deployment', 'StatefulSet', 'DaemonSet'],
  'batch/v1': ['Job'],
};

/** What kubectl asks for: groups, versions and kinds. */
function discovery(path: string): object | undefined {
  if (path === '/api') return { kind: 'APIVersions', versions: ['v1'] };
  if (path === '/apis') {
    const groups = Object.keys(kinds).filter((version) => version.includes('/'));
    return {
      kind: 'APIGroupList',
      groups: groups.map((groupVersion) => {
        const [name, version] = groupVersion.split('/');
        return { name, versions: [{ groupVersion, version }], preferredVersion: { groupVersion, version } };
      }),
    };
  }
  const groupVersion = path.replace(/^\/apis?\//, '');
  return (
    kinds[groupVersion] && {
      kind: 'APIResourceList',
      groupVersion,
      resources: kinds[groupVersion].map((kind) => ({
        name: `${kind.toLowerCase()}s`,
        singularName: '',
        namespaced: true,
        kind,
        verbs: ['create'],
      })),
    }
  );
}

let server: Server;

beforeAll(async () => {
  server = createServer((req, res) => {
    const reply = discovery((req.url ?? '').replace(/\?.*/, ''));
    res.writeHead(reply === undefined ? 404 : 200, { 'Content-Type': 'application/json' });
    res.end(JSON.stringify(reply ?? {}));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
});

afterAll(() => new Promise((resolve) => server.close(resolve)));

const files = readdirSync(manifestsDir).filter((name) => name.endsWith('.yaml'));

(existsSync(kubectl) ? it : it.skip).each(files)('kubectl create reads %s as we do', async (name) => {
  const path = join(manifestsDir, name);
  const { port } = server.address() as AddressInfo;
  const { stdout } = await promisify(execFile)(
    kubectl,
    [
      ...['--server', `http://127.0.0.1:${port}`, '--cache-dir', '/dev/null'],
      ...['create', '--dry-run=client', '--validate=false', '--output', 'json', '--filename', path],
    ],
    { env: { PATH: process.env['PATH'], KUBECONFIG: '/dev/null' } },
  );
  // One object after the other, or a list of them.
  const read = parseManifests(stdout.replaceAll(/^}\n\{/gm, '}\n---\n{')).manifests;
  const { manifests } = parseManifests(readFileSync(path, 'utf8'));
  expect(read.map(({ kind, metadata }) => [kind, metadata.name])).toEqual(
    manifests.map(({ kind, metadata }) => [kind, metadata.name]),
  );
  const specs = (from: typeof manifests): unknown[] =>
    from.map((one) => ('spec' in one ? one.spec : one.kind));
  expect(specs(read)).toEqual(specs(manifests));
});
