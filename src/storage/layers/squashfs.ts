// Runs sqfstar, which makes a squashfs image of a tar stream without root and without unpacking anything.

import { spawn } from 'node:child_process';
import { open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { DaemonError } from '../../errors';
import { helperEnvironment } from '../../host/helper-environment';

export interface SquashfsWriter {
  /** Takes the tar. */
  input: Writable;
  /** Resolves when the image is whole; rejects with Internal and sqfstar's complaint. */
  done: Promise<void>;
  kill: () => void;
}

/**
 * Its defaults take a fourth of the host's memory; 64 MiB are as fast. Its search for files with equal contents compares
 * each small file with all before it of the same size: minutes for 100,000. docs/adr/0003-layer-conversion.md
 */
const options = [
  ...['-comp', 'lz4', '-mem', '64M', '-root-mode', '755', '-root-uid', '0', '-root-gid', '0'],
  ...['-no-progress', '-quiet', '-no-duplicates'],
];
const superblockBytes = 96;
const magic = 0x73717368;

export function startSqfstar(output: string): SquashfsWriter {
  const child = spawn('sqfstar', [...options, output], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: helperEnvironment(),
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint = (complaint + text).slice(0, 2000);
  });
  const done = new Promise<void>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new DaemonError('Internal', `sqfstar can't be run (${error.message}): see caisson doctor`)),
    );
    child.once('close', (code, signal) => {
      if (code === 0) resolve();
      else
        reject(new DaemonError('Internal', `sqfstar: ${complaint.trim() || `exit ${code ?? signal ?? ''}`}`));
    });
  });
  done.catch(() => undefined); // awaited by those who get that far
  return { input: child.stdin, done, kill: () => void child.kill('SIGKILL') };
}

/** In the place of one, for a layer of which no image is wanted. */
export function discarding(): SquashfsWriter {
  const input = new Writable({ write: (_chunk, _encoding, done) => done() });
  return { input, done: Promise.resolve(), kill: () => void input.destroy() };
}

/** False for a file that a crash of the host cut short. */
export async function isWholeSquashfs(path: string): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const block = Buffer.alloc(superblockBytes);
    const { bytesRead } = await file.read(block, 0, superblockBytes, 0);
    if (bytesRead < superblockBytes || block.readUInt32LE(0) !== magic) return false;
    return block.readBigUInt64LE(40) <= BigInt((await file.stat()).size); // bytes_used of the superblock
  } finally {
    await file.close();
  }
}
