// `docker top`: what may be asked of ps, and its output as Docker's table.

import type { ContainerTopResponse } from '../../docker/types';
import { DaemonError } from '../../errors';
import { goQuote } from '../../go/quote';

/** The arguments of ps as Docker splits them; `-ef` when none are given. Throws Internal for what Docker refuses. */
export function parsePsArguments(psArgs: string): string[] {
  // A column renamed to PID would mislead the search for the container's processes.
  for (const [, name = '', value = ''] of psArgs.matchAll(/\s+(\S*)=\s*(PID\S*)/g)) {
    if (name !== 'pid') throw new DaemonError('Internal', `specifying "${name}=${value}" is not allowed`);
  }
  return (psArgs === '' ? '-ef' : psArgs).split(' ').filter((word) => word !== '');
}

function fields(line: string): string[] {
  return line.split(/[\t\n\v\f\r ]+/).filter((field) => field !== '');
}

/**
 * The lines of `output` that belong to `pids`, threads under their process included. What goes beyond the titles is
 * part of the last column. Throws Internal when the output has no PID column.
 */
export function formatTop(output: string, pids: readonly number[]): ContainerTopResponse {
  const [header = '', ...lines] = output.split('\n');
  const titles = fields(header);
  const pidColumn = titles.indexOf('PID');
  if (pidColumn < 0) throw new DaemonError('Internal', "Couldn't find PID field in ps output");
  const wanted = new Set(pids);
  const processes: string[][] = [];
  let inContainer = false;
  for (const line of lines) {
    const columns = fields(line);
    const pid = columns[pidColumn];
    if (pid === undefined) continue;
    // A thread's line has no pid; it follows its process.
    if (pid !== '-') {
      if (!/^\d+$/.test(pid)) {
        const reason = `strconv.Atoi: parsing ${goQuote(pid)}: invalid syntax`;
        throw new DaemonError('Internal', `Unexpected pid '${pid}': ${reason}`);
      }
      inContainer = wanted.has(Number(pid));
    }
    if (inContainer) processes.push(joinOverhang(columns, titles.length));
  }
  return { Titles: titles, Processes: processes };
}

function joinOverhang(columns: readonly string[], count: number): string[] {
  return [...columns.slice(0, count - 1), columns.slice(count - 1).join(' ')];
}
