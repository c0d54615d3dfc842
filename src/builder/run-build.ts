// builder/: the classic builder, as dockerd's.
//
// `POST /build` from its query and its body to its tags: what surrounds the builder.

import { randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import ignore from '@balena/dockerignore';
import { DaemonError, errorMessage } from '../errors';
import { familiarReference, parseReference } from '../registry/reference';
import type { ProgressMessage } from '../storage/contract/stores';
import type { BuildHost } from './host';
import { readBuildOptions, type BuildSettings } from './options';
import { BuildOutput, shortId } from './output';
import { Builder, CommandFailed } from './builder';
import { spoolContext, type BuildContext } from './context';
import { requireInside } from './copy-source';
import { parseDockerfile, type ParsedDockerfile } from '../dockerfile/parser';
import { readSmallFile, type LayerReader } from './file-contents';
import { baseOf, parentOf, toName, type FileTree } from './file-tree';
import type { LayerIndexes } from './image-files';
import { parseBuild } from '../dockerfile/instruction-parser';
import type { BuildPlan } from '../dockerfile/instructions';
import { remoteContext } from './remote-context';

/** One line to the client; `code` is a failed command's status. */
export type BuildMessage = ProgressMessage & {
  errorDetail?: { code?: number; message: string };
  error?: string;
};

export interface BuildRequest {
  query: URLSearchParams;
  body: NodeJS.ReadableStream;
  send: (message: BuildMessage) => void;
  signal: AbortSignal;
}

const maxDockerfileBytes = 16 * 1024 * 1024;
const ignoreFile = '.dockerignore';

/**
 * Builds, and tells the client. What is wrong before the first line is thrown; a command that fails is the last line.
 * Leaves images (Docker's, too, are kept as cache), and nothing else.
 */
export async function runBuild(host: BuildHost, indexes: LayerIndexes, request: BuildRequest): Promise<void> {
  const settings = readBuildOptions(request.query, host.experimental);
  const held: BuildMessage[] = [];
  const send = settings.quiet ? (message: BuildMessage) => void held.push(message) : request.send;
  const workDir = join(host.temporaryDir, `build-${randomBytes(8).toString('hex')}`);
  await mkdir(workDir, { recursive: true, mode: 0o700 });
  try {
    const imageId = await build(host, indexes, { settings, workDir, ...request, send });
    if (settings.quiet) request.send({ stream: `${imageId}\n` });
  } catch (error) {
    for (const message of held) request.send(message);
    if (!(error instanceof CommandFailed)) throw error;
    request.send({
      errorDetail: { code: error.exitCode, message: error.message },
      error: error.message,
    });
  } finally {
    await rm(workDir, { recursive: true, force: true });
  }
}

interface Work extends BuildRequest {
  settings: BuildSettings;
  workDir: string;
}

async function build(host: BuildHost, indexes: LayerIndexes, work: Work): Promise<string> {
  const { settings, workDir, signal, send } = work;
  const tags = settings.tags.map(tagName);
  const output = new BuildOutput(send);
  const context = await openContext(work);
  const { dockerfile, name } = await readDockerfile(context.tree, settings.dockerfile, host.layers);
  const plan = parseBuild(dockerfile, name);
  stopAtTarget(plan, settings.target);
  addLabels(plan, settings.labels);
  if (dockerfile.warnings.length > 0) output.stderr(`${dockerfile.warnings.join('\n')}\n`);
  const { escape } = dockerfile;
  const parts = { host, settings, output, context, plan, escape, indexes, workDir, signal };
  const imageId = await new Builder(parts).build();
  output.stdout(`Successfully built ${shortId(imageId)}\n`);
  for (const tag of new Set(tags)) {
    await host.tag(imageId, tag);
    output.stdout(`Successfully tagged ${tag}\n`);
  }
  return imageId;
}

async function openContext({ settings, workDir, body, signal, send }: Work): Promise<BuildContext> {
  const path = join(workDir, 'context.tar');
  const { remote, dockerfile } = settings;
  const source =
    remote === '' ? body : await remoteContext(remote, { workDir, dockerfile, signal, progress: send });
  return spoolContext(source, path, signal);
}

/** Takes it, and what .dockerignore excludes of the two special files, out of the context. */
async function readDockerfile(
  tree: FileTree,
  given: string,
  layers: LayerReader,
): Promise<{ dockerfile: ParsedDockerfile; name: string }> {
  try {
    requireInside(given);
  } catch (error) {
    throw new DaemonError('Internal', errorMessage(error), { cause: error });
  }
  let name = given;
  if (tree.find(toName(name)) === undefined && name === 'Dockerfile') name = 'dockerfile';
  const node = tree.find(toName(name));
  if (node === undefined) {
    throw new DaemonError('Internal', `Cannot locate specified Dockerfile: ${given}`);
  }
  if (node.kind !== 'file' || node.type !== '0') {
    throw new DaemonError('Internal', `unexpected error reading Dockerfile: read ${name}: is a directory`);
  }
  if (node.size === 0) {
    throw new DaemonError('InvalidParameter', `the Dockerfile (${name}) cannot be empty`);
  }
  const text = (await readSmallFile(layers, node, maxDockerfileBytes)).toString();
  let dockerfile: ParsedDockerfile;
  try {
    dockerfile = parseDockerfile(text);
  } catch (error) {
    throw new DaemonError('InvalidParameter', `failed to parse ${name}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  await removeExcluded(tree, [ignoreFile, name], layers);
  return { dockerfile, name };
}

/** The client leaves out what .dockerignore excludes, but must send these. */
async function removeExcluded(tree: FileTree, names: readonly string[], layers: LayerReader): Promise<void> {
  const node = tree.find(ignoreFile);
  if (node?.kind !== 'file') return;
  const patterns = (await readSmallFile(layers, node, maxDockerfileBytes)).toString().split(/\r?\n/);
  const excludes = ignore({ ignorecase: false }).add(patterns.filter((line) => !line.startsWith('#')));
  for (const name of names) {
    if (!excludes.ignores(name)) continue;
    const parent = tree.lookup(parentOf(toName(name)));
    if (parent?.kind === 'directory') parent.children.delete(baseOf(toName(name)));
  }
}

function stopAtTarget(plan: BuildPlan, target: string): void {
  if (target === '') return;
  const index = plan.stages.findIndex(({ name }) => name === target.toLowerCase());
  if (index < 0) {
    throw new DaemonError('InvalidParameter', `failed to reach build target ${target} in Dockerfile`);
  }
  plan.stages.splice(index + 1);
}

/** Each a step of its own at the end, in order of their names. */
function addLabels(plan: BuildPlan, labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const original = `LABEL ${key}=${value}`;
    plan.stages.at(-1)?.commands.push({ kind: 'label', original, pairs: [{ key, value }], literal: true });
  }
}

/** In familiar form, with `latest` where there is no tag. Throws Internal, as dockerd does. */
function tagName(given: string): string {
  try {
    const reference = parseReference(given);
    if (reference.digest !== undefined) throw new Error('build tag cannot contain a digest');
    return familiarReference(reference);
  } catch (error) {
    throw new DaemonError('Internal', errorMessage(error), { cause: error });
  }
}
