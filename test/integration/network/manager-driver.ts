// Runs a NetworkManager as a process of its own, so that tests can put it into a namespace that plays the host, and kill
// it. Lines of JSON on stdin: {id, method, args}; answers on stdout: {id, result} or {id, error, code}.

import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { createNetworkManager } from '../../../src/network/network-manager';
import { openDocumentStore } from '../../../src/storage/documents/document-store';

interface Call {
  id: number;
  method: string;
  args: unknown[];
}

const [directory = '', runDir = ''] = process.argv.slice(2);
const manager = createNetworkManager({
  runDir,
  documents: openDocumentStore(join(runDir, 'records.db')),
  nativeDir: join(directory, 'native'),
});

async function answer({ id, method, args }: Call): Promise<void> {
  try {
    // a test's words, not a client's
    const member = (manager as unknown as Record<string, unknown>)[method];
    const result: unknown =
      typeof member === 'function' ? await (member.apply(manager, args) as Promise<unknown>) : member;
    process.stdout.write(`${JSON.stringify({ id, result })}\n`);
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    process.stdout.write(`${JSON.stringify({ id, error: message, code })}\n`);
  }
}

createInterface(process.stdin).on('line', (line) => void answer(JSON.parse(line) as Call));
process.stdin.on('end', () => process.exit(0));
