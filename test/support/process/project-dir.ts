// Where the project is: the directory of package.json, also for compiled copies of these files.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

function findUp(dir: string): string {
  return existsSync(join(dir, 'package.json')) ? dir : findUp(dirname(dir));
}

export const projectDir = findUp(__dirname);
