// A Pod's template from a file: the form of /v1/pods, as JSON or YAML.

import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { errorMessage } from '../../errors';
import { checkRequest } from '../../pods-api/schemas';
import type { PodTemplate } from '../../pods-api/types';

/** `-` is standard input. Throws what is wrong with it, with the path of the field. */
export async function readPodFile(path: string): Promise<PodTemplate> {
  const text = path === '-' ? await readStandardInput() : await readFile(path, 'utf8');
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new Error(`${path}: ${errorMessage(error)}`, { cause: error });
  }
  return checkRequest('PodTemplate', value) as PodTemplate; // the schema decides
}

export async function readStandardInput(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part as Buffer); // no encoding is set
  return Buffer.concat(parts).toString();
}
