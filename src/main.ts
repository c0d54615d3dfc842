// The command `caisson`: argv, environment and signals. The only process.exit.

import { totalmem, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { runDoctor } from './cli/doctor';
import { prepare } from './cli/prepare';
import type { AcceleratorChoice, Config } from './config';
import { startDaemon } from './daemon';
import { errorMessage, isDaemonError } from './errors';
import { log, logLevels, setLogLevel, type LogLevel } from './log';
import { caissonVersion } from './versions';

const projectDir = join(__dirname, '..');
const gibibyte = 1024 ** 3;
/** Untouched memory of a guest costs nothing, so the template has as much as containers may ask for. */
const largestVmBytes = 8 * gibibyte;
const defaultHost = 'unix:///run/caisson/caisson.sock';

interface DaemonFlags {
  dataRoot: string;
  runDir: string;
  host: string[];
  logLevel: LogLevel;
  accel: AcceleratorChoice;
  poolSize: number;
  guestDir: string;
  qemu: string;
  storageSize: number;
  insecureRegistry: string[];
  registryMirror: string[];
}

function count(text: string): number {
  if (!/^\d{1,4}$/.test(text)) throw new InvalidArgumentError('a whole number is wanted');
  return Number(text);
}

function sizeInBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)i?b?$/i.exec(text);
  const power = ['', 'k', 'm', 'g', 't'].indexOf((match?.[2] ?? '').toLowerCase());
  const bytes = Number(match?.[1] ?? NaN) * 1024 ** power;
  if (!(bytes >= 64 * 1024 ** 2))
    throw new InvalidArgumentError('a size of at least 64m is wanted, like 20g');
  return Math.floor(bytes);
}

function append(value: string, before: string[]): string[] {
  return [...before, value];
}

/** Options of every command that needs the configuration. */
function withDaemonOptions(command: Command): Command {
  return command
    .option('--data-root <dir>', 'images, disks, records and logs', '/var/lib/caisson')
    .option('--run-dir <dir>', 'sockets and run-time state', '/run/caisson')
    .option(
      '-H, --host <address>',
      `listen on unix://PATH or tcp://ADDRESS:PORT; may be repeated (default ${defaultHost})`,
      append,
      [],
    )
    .addOption(
      new Option('--log-level <level>', 'least severe level that is logged')
        .choices(logLevels)
        .default('info'),
    )
    .addOption(
      new Option('--accel <kind>', 'how VMs are run').choices(['auto', 'kvm', 'tcg']).default('auto'),
    )
    .option('--pool-size <n>', 'idle VMs kept ready', count, 3)
    .option(
      '--storage-size <size>',
      "size of a container's writable disk (sparse)",
      sizeInBytes,
      20 * gibibyte,
    )
    .option('--insecure-registry <host>', 'registry without verified TLS; may be repeated', append, [])
    .option('--registry-mirror <url>', 'mirror of Docker Hub; may be repeated', append, [])
    .option('--guest-dir <dir>', "the guest's kernel and initramfs", join(projectDir, 'build', 'guest'))
    .option('--qemu <path>', 'QEMU', '/usr/bin/qemu-system-x86_64');
}

function toConfig(flags: DaemonFlags): Config {
  return {
    dataRoot: resolve(flags.dataRoot),
    runDir: resolve(flags.runDir),
    hosts: flags.host.length === 0 ? [defaultHost] : flags.host,
    logLevel: flags.logLevel,
    accelerator: flags.accel,
    guestDir: resolve(flags.guestDir),
    nativeDir: join(projectDir, 'build', 'native'),
    qemuBinary: flags.qemu,
    poolSize: flags.poolSize,
    vmMemoryBytes: Math.min(largestVmBytes, Math.floor(totalmem() / gibibyte) * gibibyte || gibibyte / 2),
    vmCpus: Math.max(1, cpus().length),
    vmUidBase: 1_650_000_000,
    writableDiskBytes: flags.storageSize,
    insecureRegistries: flags.insecureRegistry,
    registryMirrors: flags.registryMirror,
  };
}

async function runDaemon(flags: DaemonFlags): Promise<void> {
  const config = toConfig(flags);
  setLogLevel(config.logLevel);
  process.on('unhandledRejection', (error) => log.error('unhandled rejection', { error }));
  const daemon = await startDaemon(config);
  let closing = false;
  const stop = (signal: string): void => {
    if (closing) return;
    closing = true;
    log.info('shutting down', { signal });
    void daemon.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => log.info('nothing to reload'));
}

function main(): void {
  const program = new Command('caisson')
    .description('Docker-compatible engine that runs every container in its own virtual machine')
    .version(caissonVersion());
  withDaemonOptions(program.command('daemon').description('run the engine')).action((flags: DaemonFlags) =>
    runDaemon(flags),
  );
  withDaemonOptions(
    program.command('doctor').description('check that this machine can run containers'),
  ).action(async (flags: DaemonFlags) => process.exit(await runDoctor(toConfig(flags))));
  withDaemonOptions(
    program.command('prepare').description('find out the accelerator and make the template'),
  ).action((flags: DaemonFlags) => prepare(toConfig(flags)));
  program
    .command('version')
    .description('print the version')
    .action(() => void process.stdout.write(`caisson ${caissonVersion()}\n`));
  program.parseAsync().catch((error: unknown) => {
    process.stderr.write(`caisson: ${errorMessage(error)}\n`);
    if (!isDaemonError(error)) log.debug('cause', { error });
    process.exit(1);
  });
}

main();
