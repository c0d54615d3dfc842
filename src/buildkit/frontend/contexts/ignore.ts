// `.dockerignore`: patterns of files that a context doesn't have (docs.docker.com/build/concepts/context, ".dockerignore files").

import { posix } from 'node:path';
import { PatternList } from '../../llb/patterns';

const maxPatterns = 10_000;

/** Lines without comments, cleaned as clients want them. */
export function ignorePatterns(text: string): string[] {
  const lines = text.replace(/^\ufeff/, '').split(/\r?\n/);
  return lines.flatMap(cleanPattern).slice(0, maxPatterns);
}

function cleanPattern(line: string): string[] {
  if (line.startsWith('#')) return [];
  const pattern = line.trim();
  if (pattern === '') return [];
  const isException = pattern.startsWith('!');
  const given = (isException ? pattern.slice(1) : pattern).trim();
  if (given === '') return [isException ? '!' : ''];
  const cleaned = posix.normalize(given);
  const relative = cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned;
  const plain = relative.length > 1 && relative.endsWith('/') ? relative.slice(0, -1) : relative;
  return [isException ? `!${plain}` : plain];
}

/** Whether a path of the context is left out. */
export function pathIgnorer(patterns: readonly string[]): (path: string) => boolean {
  const list = new PatternList(patterns);
  return (path) => list.matches(path);
}
