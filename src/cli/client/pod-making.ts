// Making a Pod as the commands do: of options or a file, with what goes into its containers; and finding its containers.

import { randomBytes } from 'node:crypto';
import type { PodCreateReply, PodInspect } from '../../api/v1/types';
import type { ApiClient } from './api-client';
import type { PodFile } from './hyper-pod';
import { withImage } from './pull';
import { podTemplate, type WorkloadOptions } from './workload-options';

export type PodOptions = WorkloadOptions & { file?: string; keepVm?: boolean };

export async function podOf(
  { file, ...options }: PodOptions,
  image: string | undefined,
  command: readonly string[],
): Promise<PodFile> {
  if ((file === undefined) === (image === undefined))
    throw new Error('name an image, or a Pod file with --file');
  if (file === undefined) {
    const name = options.name ?? `pod-${randomBytes(4).toString('hex')}`;
    return { template: podTemplate(name, image ?? '', command, options), files: [] };
  }
  const { template, files } = await podFromFile(file, options.name);
  return {
    template: {
      ...template,
      ...(options.rm === true ? { autoRemove: true } : {}),
      ...(options.keepVm === true ? { keepVm: true } : {}),
    },
    files,
  };
}

/** The checks of what a file may say take long to load, and most commands have none. */
export async function podFromFile(file: string, name?: string): Promise<PodFile> {
  const { readPodFile } = await import('./pod-file.js');
  return readPodFile(file, name);
}

/** With its files in its containers, or not at all. */
export async function createPod(client: ApiClient, { template, files }: PodFile): Promise<PodCreateReply> {
  const images = [...new Set(template.containers.flatMap(({ body }) => body.Image ?? []))];
  const reply = await withImage(client, images, () =>
    client.call<PodCreateReply>('POST', '/v1/pods', { body: template }),
  );
  for (const warning of reply.warnings) process.stderr.write(`WARNING: ${warning}\n`);
  try {
    for (const { name } of template.containers) {
      const own = files.filter(({ container }) => container === name);
      if (own.length === 0) continue;
      const { filesArchive } = await import('./pod-file.js');
      const container = client.docker.getContainer(await containerOf(client, reply.id, name));
      await container.putArchive(filesArchive(own), { path: '/' });
    }
  } catch (error) {
    await removePod(client, reply.id);
    throw error;
  }
  return reply;
}

/** It may be gone already. */
export async function removePod(client: ApiClient, id: string): Promise<void> {
  await client.call('DELETE', podPath(id), { query: { force: true, volumes: true } }).catch(() => undefined);
}

/** Docker's id of a container of the Pod. */
export async function containerOf(client: ApiClient, ref: string, name: string | undefined): Promise<string> {
  const pod = await client.call<PodInspect>('GET', podPath(ref));
  const mains = pod.containers.filter(({ role }) => role === 'main');
  const names = pod.containers.map((container) => container.name).join(', ');
  const found =
    name === undefined
      ? mains.length === 1
        ? mains[0]
        : undefined
      : pod.containers.find((container) => container.name === name || container.dockerName === name);
  if (found !== undefined) return found.id;
  throw new Error(
    name === undefined
      ? `Pod ${pod.name} has several containers, choose one with --container: ${names}`
      : `Pod ${pod.name} has no container ${name}, but ${names}`,
  );
}

export function podPath(ref: string, verb?: string): string {
  return `/v1/pods/${encodeURIComponent(ref)}${verb === undefined ? '' : `/${verb}`}`;
}
