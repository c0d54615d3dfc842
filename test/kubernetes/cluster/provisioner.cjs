// Makes the volumes of the test cluster's class: a directory on the node that the scheduler chose, and removes it when it is released.
// provisioner.cjs DIR: the cluster's directory, with admin.conf and node1, node2 …

const { readFileSync, mkdirSync, rmSync } = require('node:fs');
const { request } = require('node:https');
const { join } = require('node:path');

const provisioner = 'caisson.test/local';
const dir = process.argv[2];
const pki = (name) => readFileSync(join(dir, 'pki', name));
const tls = { ca: pki('ca.crt'), cert: pki('admin.crt'), key: pki('admin.key') };

/** Resolves with the response, whatever its status. */
function send(method, path, body, type = 'application/json') {
  return new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'content-type': type };
    const req = request({ host: '127.0.0.1', port: 6443, method, path, headers, ...tls }, resolve);
    req.on('error', reject);
    req.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

async function text(response) {
  let whole = '';
  for await (const chunk of response) whole += chunk;
  return whole;
}

/** Calls `handle` with each object of a collection as it appears and changes, for ever: also over an API server that goes and comes. */
async function follow(path, handle) {
  for (;;) {
    try {
      await followOnce(path, handle);
    } catch (error) {
      console.error(`${path}: ${error.message}`);
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

/** Until the connection ends. */
async function followOnce(path, handle) {
  const listed = JSON.parse(await text(await send('GET', path)));
  for (const item of listed.items) await handle(item);
  const version = listed.metadata.resourceVersion;
  const watch = await send('GET', `${path}?watch=1&resourceVersion=${version}`);
  let rest = '';
  for await (const chunk of watch) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      const event = JSON.parse(line);
      if (event.type === 'ADDED' || event.type === 'MODIFIED') await handle(event.object);
    }
  }
}

async function provision({ metadata, spec }) {
  const annotations = metadata.annotations ?? {};
  const node = annotations['volume.kubernetes.io/selected-node'];
  if (annotations['volume.kubernetes.io/storage-provisioner'] !== provisioner) return;
  if (node === undefined || spec.volumeName !== undefined || metadata.deletionTimestamp !== undefined) return;
  const name = `pvc-${metadata.uid}`;
  mkdirSync(join(dir, node, 'volumes', name), { recursive: true, mode: 0o755 });
  const made = await send('POST', '/api/v1/persistentvolumes', {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name, annotations: { 'pv.kubernetes.io/provisioned-by': provisioner, node } },
    spec: {
      capacity: { storage: spec.resources.requests.storage },
      accessModes: spec.accessModes,
      storageClassName: spec.storageClassName,
      persistentVolumeReclaimPolicy: 'Delete',
      hostPath: { path: `/volumes/${name}`, type: 'DirectoryOrCreate' },
      claimRef: {
        kind: 'PersistentVolumeClaim',
        apiVersion: 'v1',
        namespace: metadata.namespace,
        name: metadata.name,
        uid: metadata.uid,
      },
      nodeAffinity: {
        required: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
          ],
        },
      },
    },
  });
  const reply = await text(made);
  if (made.statusCode !== 201 && made.statusCode !== 409) console.error(`${name}: ${reply}`);
}

async function release({ metadata, status }) {
  if (status.phase !== 'Released' || metadata.annotations['pv.kubernetes.io/provisioned-by'] !== provisioner)
    return;
  if (metadata.deletionTimestamp !== undefined) return;
  rmSync(join(dir, metadata.annotations.node, 'volumes', metadata.name), { recursive: true, force: true });
  await text(await send('DELETE', `/api/v1/persistentvolumes/${metadata.name}`));
}

void follow('/api/v1/persistentvolumeclaims', provision);
void follow('/api/v1/persistentvolumes', release);
