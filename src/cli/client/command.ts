// What all client commands have: a client of the daemon, one way to fail, and `--format`.

import { Option, type Command } from 'commander';
import { errorMessage } from '../../errors';
import { ApiClient } from './api-client';
import { formats } from './output';

/** As docker's: the daemon, not the workload, has failed. */
export const failureCode = 125;

/**
 * Makes a commander action of a function that gets a client, the options and the arguments. Its number is the process's exit
 * code; what it throws is told.
 */
export type ClientAction = (
  work: (client: ApiClient, options: never, ...args: never[]) => Promise<number | undefined> | Promise<void>,
) => (...given: unknown[]) => Promise<void>;

/** `fail`: says what went wrong and sets the exit code. */
export function clientAction(fail: (error: Error, code: number) => void): ClientAction {
  return (work) =>
    async (...given) => {
      // Commander gives the arguments, the options, and the command.
      const command = given.at(-1) as Command;
      const args = given.slice(0, -2);
      const options = command.optsWithGlobals<{ host?: string }>();
      const client = new ApiClient(options.host);
      try {
        const code = await work(client, command.opts<never>(), ...(args as never[]));
        process.exitCode = typeof code === 'number' ? code : 0;
      } catch (error) {
        fail(client.explain(error), command.name() === 'run' ? failureCode : 1);
      }
    };
}

/** One after the other; all are tried, and the first failure is thrown at the end. */
export async function eachOf(refs: readonly string[], work: (ref: string) => Promise<void>): Promise<void> {
  const failures: unknown[] = [];
  for (const ref of refs) await work(ref).catch((error: unknown) => failures.push(error));
  const [first, ...others] = failures;
  for (const other of others) process.stderr.write(`caisson: ${errorMessage(other)}\n`);
  if (first !== undefined) throw first instanceof Error ? first : new Error(errorMessage(first));
}

export function addFormat(command: Command, fallback: (typeof formats)[number] = 'table'): Command {
  return command.addOption(
    new Option('--format <format>', 'how to show it').choices(formats).default(fallback),
  );
}
