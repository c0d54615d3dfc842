// kubernetes/: `caisson kubernetes`: what a cluster must have before a daemon can stand in front of it.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { KubernetesObject } from '@kubernetes/client-node';
import type { Command } from 'commander';
import { stringify } from 'yaml';
import { write } from '../client/output';
import type { Installation } from '../../cluster/install/manifests';

export interface InstallOptions {
  namespace: string;
  image?: string;
  supervisorImage?: string;
  runtimeClass?: string;
  tlsSecret?: string;
  apply?: boolean;
  kubeconfig?: string;
  kubeContext?: string;
  daemonOptions?: readonly string[];
}

/** `supervisorArchive`: of this installation. */
export function addKubernetesCommands(
  program: Command,
  supervisorArchive = join(__dirname, '../../../build/guest/supervisor/image.tar'),
): void {
  const kubernetes = program
    .command('kubernetes')
    .description('what a cluster needs for caisson daemon --backend kubernetes (experimental)');
  kubernetes
    .command('install')
    .description('print the objects that the cluster must have, as YAML, or apply them')
    .option('--namespace <name>', 'namespace of containers, volumes and records', 'caisson')
    .option('--image <image>', 'have the daemon run in the cluster, of this image with the command caisson')
    .option('--supervisor-image <image>', 'image with process 1 of Pods (see caisson kubernetes image)')
    .option('--runtime-class <name>', 'RuntimeClass of Pods, for --image')
    .option(
      '--tls-secret <name>',
      'for --image: Secret of the namespace with ca.pem, cert.pem and key.pem of its API',
    )
    .option('--apply', 'make them, or mend those that are there, instead of printing them')
    .option('--kubeconfig <path>', 'for --apply: how to reach the cluster (default: as kubectl)')
    .option(
      '--kube-context <name>',
      "for --apply: context of the kubeconfig (default: the file's current one)",
    )
    .argument('[options...]', 'for --image, after --: more options of caisson daemon')
    .action((daemonOptions: string[], options: InstallOptions) => install({ ...options, daemonOptions }));
  kubernetes
    .command('image')
    .description("tell where the supervisor's image is, and how nodes get it")
    .action(() => write(imageAdvice(supervisorArchive)));
}

async function install(options: InstallOptions): Promise<void> {
  // Loaded where they are needed: Kubernetes' client takes longer than most commands do.
  const { installationObjects } = await import('../../cluster/install/manifests.js');
  const objects = installationObjects(installationOf(options));
  if (options.apply !== true) {
    write(manifestText(objects));
    return;
  }
  const [{ applyObjects }, { objectWriter }] = await Promise.all([
    import('../../cluster/install/apply.js'),
    import('../../cluster/client/cluster-api.js'),
  ]);
  const writer = objectWriter({ kubeconfig: options.kubeconfig, context: options.kubeContext });
  await applyObjects(writer, objects, ({ kind = '', metadata }, outcome) =>
    write(
      `${kind} ${metadata?.name ?? ''}: ${{ made: 'made', mended: 'mended', there: 'is there' }[outcome]}\n`,
    ),
  );
}

/** Throws for options that don't go together. */
export function installationOf(options: InstallOptions): Installation {
  const { namespace, image, supervisorImage, runtimeClass, tlsSecret, daemonOptions = [] } = options;
  if (!/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(namespace))
    throw new Error(`${namespace} is no name of a namespace`);
  if (image === undefined) {
    const [stray] = Object.entries({
      '--supervisor-image': supervisorImage,
      '--runtime-class': runtimeClass,
      '--tls-secret': tlsSecret,
      [daemonOptions.join(' ')]: daemonOptions[0],
    }).flatMap(([flag, value]) => (value === undefined ? [] : [flag]));
    if (stray !== undefined)
      throw new Error(
        `${stray} is of the daemon in the cluster, which --image names; elsewhere it is an option of caisson daemon`,
      );
    return { namespace };
  }
  if (supervisorImage === undefined)
    throw new Error('--image needs --supervisor-image: see caisson kubernetes image');
  if (tlsSecret === undefined)
    throw new Error(
      "--image needs --tls-secret: whoever reaches the API without TLS has the daemon's rights",
    );
  return { namespace, daemon: { image, supervisorImage, runtimeClass, tlsSecret, options: daemonOptions } };
}

/** As `kubectl apply -f -` reads them. */
export function manifestText(objects: readonly KubernetesObject[]): string {
  return objects.map((object) => `---\n${stringify(object, { aliasDuplicateObjects: false })}`).join('');
}

/** Throws where this installation has none. */
export function imageAdvice(archive: string): string {
  if (!existsSync(archive))
    throw new Error(`this installation has no ${archive}; a checkout makes it by npm run guest`);
  return [
    `The supervisor's image is caisson/supervisor:latest in ${archive}.`,
    '',
    'To a registry that the nodes pull from, by any docker:',
    `  docker load --input ${archive}`,
    '  docker tag caisson/supervisor:latest REGISTRY/caisson/supervisor:latest',
    '  docker push REGISTRY/caisson/supervisor:latest',
    'Or on each node, without a registry:',
    `  ctr --namespace k8s.io images import ${archive}`,
    '',
    'Then caisson daemon --backend kubernetes --kube-supervisor-image with that name.',
    '',
  ].join('\n');
}
