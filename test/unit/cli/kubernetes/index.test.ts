// `caisson kubernetes`: what it prints, and which options it refuses.

import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { imageAdvice, installationOf, manifestText } from '../../../../src/cli/kubernetes';
import { installationObjects } from '../../../../src/cluster/install/manifests';

const whole = { namespace: 'box', image: 'i', supervisorImage: 's', tlsSecret: 't' };

it('prints YAML that reads as the same objects', () => {
  const objects = installationObjects(installationOf(whole));
  const documents = parseAllDocuments(manifestText(objects));
  expect(documents.flatMap(({ errors }) => errors)).toEqual([]);
  const read = documents.map((document) => document.toJS() as object);
  expect(read).toEqual(JSON.parse(JSON.stringify(objects)));
});

it.each([
  [{ namespace: 'Not_A_Name' }, /no name of a namespace/],
  [{ namespace: 'box', supervisorImage: 's' }, /--supervisor-image is of the daemon in the cluster/],
  [{ namespace: 'box', runtimeClass: 'kata' }, /--runtime-class is of the daemon in the cluster/],
  [{ namespace: 'box', daemonOptions: ['--debug'] }, /--debug is of the daemon in the cluster/],
  [{ namespace: 'box', image: 'i', tlsSecret: 't' }, /needs --supervisor-image/],
  [{ namespace: 'box', image: 'i', supervisorImage: 's' }, /needs --tls-secret/],
])('refuses %j', (options, words) => {
  expect(() => installationOf(options)).toThrow(words);
});

it('tells how nodes get the image, or that there is none', () => {
  expect(imageAdvice(__filename)).toContain(`docker load --input ${__filename}`);
  const missing = join(tmpdir(), 'no such image.tar');
  expect(() => imageAdvice(missing)).toThrow(`this installation has no ${missing}`);
});
