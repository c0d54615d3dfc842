// `caisson vm …`.

import { InvalidArgumentError, type Command } from 'commander';
import { pipeline } from 'node:stream/promises';
import type { VmInspect, VmSummary } from '../../api/v1/types';
import { binarySize } from '../../go/size-text';
import { addFormat, eachOf, type ClientAction } from './command';
import { print, table, write, type Format } from './output';
import { parseSize } from './workload-options';

/** Adds `vm` and what is below it. */
export function addVmCommands(program: Command, action: ClientAction): void {
  const vm = program.command('vm').description('virtual machines, idle ones among them');

  vm.command('run', { isDefault: true })
    .description('make an idle VM, for Pods that are started with --vm')
    .option('-c, --cpus <number>', 'CPUs (default and least: those of the host)', wholeNumber)
    .option('-m, --memory <size>', "memory (default and least: what the daemon's VMs have)", parseSize)
    .action(
      action(async (client, { cpus, memory }: { cpus?: number; memory?: number }) => {
        const { id } = await client.call<VmInspect>('POST', '/v1/vms', {
          body: {
            ...(cpus === undefined ? {} : { cpus }),
            ...(memory === undefined ? {} : { memoryBytes: memory }),
          },
        });
        write(`${id}\n`);
      }),
    );

  addFormat(vm.command('ls').alias('list').description('list VMs').option('-q, --quiet', 'ids only')).action(
    action(async (client, { format, quiet }: { format: Format; quiet?: boolean }) => {
      const vms = await client.call<VmSummary[]>('GET', '/v1/vms');
      if (quiet === true) write(vms.map(({ id }) => `${id}\n`).join(''));
      else print(format, vms, () => vmTable(vms));
    }),
  );

  vm.command('rm')
    .description('end VMs')
    .argument('<vm...>')
    .option('-f, --force', 'also those that a Pod runs on')
    .action(
      action(async (client, { force = false }: { force?: boolean }, vms: string[]) =>
        eachOf(vms, async (ref) => {
          await client.call('DELETE', vmPath(ref), { query: { force } });
          write(`${ref}\n`);
        }),
      ),
    );

  addFormat(
    vm.command('inspect').description('all there is to know of VMs').argument('<vm...>'),
    'json',
  ).action(
    action(async (client, { format }: { format: Format }, vms: string[]) => {
      const found = await Promise.all(vms.map((ref) => client.call<VmInspect>('GET', vmPath(ref))));
      print(format, found, () => vmTable(found));
    }),
  );

  vm.command('console')
    .description('what a VM has written to its serial console')
    .argument('<vm>')
    .option('-f, --follow', 'go on with what it writes')
    .action(
      action(async (client, { follow = false }: { follow?: boolean }, ref: string) => {
        await pipeline(await client.stream(`${vmPath(ref)}/console`, { follow }), process.stdout, {
          end: false,
        });
      }),
    );
}

function vmPath(ref: string): string {
  return `/v1/vms/${encodeURIComponent(ref)}`;
}

export function vmTable(vms: readonly VmSummary[]): string {
  return table(
    ['VM ID', 'STATE', 'PURPOSE', 'POD', 'MEMORY', 'CPUS', 'PID'],
    vms.map((vm) => [
      vm.id,
      vm.unanswered === true ? `${vm.state}, no answer` : vm.state,
      vm.purpose,
      vm.podName ?? '',
      binarySize(vm.memoryBytes),
      String(vm.cpus),
      String(vm.pid),
    ]),
  );
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('It is no number of CPUs.');
  return Number(text);
}
