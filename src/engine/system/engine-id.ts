// The id that `docker info` shows: made once for a data root, in the form Docker's have.

import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import * as path from 'node:path';
import { systemErrorCode } from '../../errors';

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
const groups = 12;
const groupLength = 4;
const pattern = /^[A-Z2-7]{4}(:[A-Z2-7]{4}){11}$/;

export function loadEngineId(dataRoot: string): string {
  const file = path.join(dataRoot, 'engine-id');
  try {
    const id = readFileSync(file, 'utf8').trim();
    if (pattern.test(id)) return id;
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
  const letters = [...randomBytes(groups * groupLength)].map((byte) =>
    alphabet.charAt(byte % alphabet.length),
  );
  const id = Array.from({ length: groups }, (_, group) =>
    letters.slice(group * groupLength, (group + 1) * groupLength).join(''),
  ).join(':');
  mkdirSync(dataRoot, { recursive: true });
  writeFileSync(file, `${id}\n`, { mode: 0o600 });
  return id;
}
