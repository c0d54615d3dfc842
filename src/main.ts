// The command `caisson`: argv, environment and signals. The only process.exit.

import { calmDown } from './daemon/ahead'; // first, as all that follows takes its time
import { Command, Option } from 'commander';
import { addDaemonOptions } from './cli/daemon-options';
import { defaultConfigFile } from './cli/config-file';
import type { Format } from './cli/client/output';
import type { Config } from './config';
import type { Daemon } from './daemon/daemon';
import { errorMessage, isDaemonError } from './errors';
import { log, setLogFormat, setLogLevel } from './log';
import { giveBackIdleMemory } from './daemon/idle-memory';
import { notifySystemd } from './daemon/systemd-notify';
import { caissonVersion } from './versions';

/** What the daemon writes is for root alone; whatever others need is given its mode where it is made. */
function keepFilesPrivate(): void {
  process.umask(0o077);
}

// Here and below: loaded where it is needed. The commands that speak to a daemon start faster without.
async function configOf(command: Command) {
  const { loadConfig } = await import('./cli/daemon-config.js');
  return loadConfig(command);
}

async function startDaemon(config: Config): Promise<Daemon> {
  if (config.cluster !== undefined) {
    const { startClusterDaemon } = await import('./daemon/cluster-daemon.js');
    return startClusterDaemon(config, config.cluster);
  }
  const { startDaemon: startHere } = await import('./daemon/daemon.js');
  return startHere(config, {
    doctor: async () => (await import('./cli/doctor.js')).diagnose(config),
  });
}

async function runDaemon(command: Command): Promise<void> {
  keepFilesPrivate();
  const config = await configOf(command);
  if (command.opts<{ validate?: boolean }>().validate === true) {
    process.stdout.write('configuration OK\n');
    return;
  }
  setLogLevel(config.logLevel);
  setLogFormat(config.logFormat);
  process.on('unhandledRejection', (error) => log.error('unhandled rejection', { error }));
  const daemon = await startDaemon(config);
  calmDown();
  giveBackIdleMemory(config.nativeDir);
  let closing = false;
  const stop = (signal: string): void => {
    if (closing) return;
    closing = true;
    log.info('shutting down', { signal });
    const seconds = config.shutdownTimeoutSeconds;
    if (seconds > 0) {
      setTimeout(() => {
        log.error('the daemon has not come to its end in time', { seconds });
        process.exit(1);
      }, seconds * 1000).unref();
    }
    void notifySystemd('STOPPING=1');
    void daemon.close().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  process.on('SIGHUP', () => void reload(command, daemon));
  await notifySystemd('READY=1', `STATUS=listening on ${daemon.addresses.join(', ')}`);
}

/** What is wrong with the new configuration is logged; the daemon goes on with what it has. */
async function reload(command: Command, daemon: Daemon): Promise<void> {
  await notifySystemd('RELOADING=1');
  try {
    daemon.reload(await configOf(command));
  } catch (error) {
    log.error('configuration not reloaded', { error: errorMessage(error) });
  }
  await notifySystemd('READY=1');
}

/** A command that takes the daemon's options. */
function daemonCommand(program: Command, name: string, description: string): Command {
  const command = program.command(name).description(description);
  return addDaemonOptions(command).option(
    '--config-file <path>',
    `options by their long names, as JSON (default: ${defaultConfigFile})`,
  );
}

/** With these options of the daemon, as if they stood on the command line of `caisson prepare`. */
async function prepareFor(args: readonly string[]): Promise<void> {
  const [program, { prepare }] = [new Command('caisson'), await import('./cli/prepare.js')];
  const command = daemonCommand(program, 'prepare', '');
  command.parseOptions([...args]);
  keepFilesPrivate();
  await prepare(await configOf(command), 'table');
}

function formatOption(): Option {
  return new Option('--format <format>', 'how to show it')
    .choices(['table', 'json', 'yaml'])
    .default('table');
}

async function main(): Promise<void> {
  const program = new Command('caisson')
    .description('Docker-compatible engine that runs every container in its own virtual machine')
    .version(caissonVersion());
  const daemon = daemonCommand(program, 'daemon', 'run the engine')
    .option('--validate', 'check the configuration and exit')
    .action(() => runDaemon(daemon));
  const doctor = daemonCommand(program, 'doctor', 'check that this machine can run containers')
    .addOption(formatOption())
    .option('--benchmark', 'measure what containers get here, with the daemon that runs at --host')
    .action(async () => {
      keepFilesPrivate();
      const config = await configOf(doctor);
      const { format, benchmark } = doctor.opts<{ format: Format; benchmark?: boolean }>();
      if (benchmark === true) {
        const { runBenchmark } = await import('./cli/benchmark/index.js');
        process.exit(await runBenchmark(config.hosts[0], format));
      }
      const { runDoctor } = await import('./cli/doctor.js');
      process.exit(await runDoctor(config, format));
    });
  const preparing = daemonCommand(program, 'prepare', 'find out the accelerator and make the template')
    .addOption(formatOption())
    .action(async () => {
      keepFilesPrivate();
      const { prepare } = await import('./cli/prepare.js');
      await prepare(await configOf(preparing), preparing.opts<{ format: Format }>().format);
    });
  const fail = (error: unknown, code: number): never => {
    process.stderr.write(`caisson: ${errorMessage(error)}\n`);
    if (!isDaemonError(error)) log.debug('cause', { error });
    process.exit(code);
  };
  // They take as long to load as the daemon itself, which has no use for them.
  if (process.argv[2] !== daemon.name()) {
    const [
      { addClientCommands },
      { addInstallationCommands },
      { addKubernetesCommands },
      { takeDown },
      { addVersionCommand },
      { addManPage },
    ] = await Promise.all([
      import('./cli/client/index.js'),
      import('./cli/installation/index.js'),
      import('./cli/kubernetes/index.js'),
      import('./cli/installation/down.js'),
      import('./cli/version.js'),
      import('./cli/man-page.js'),
    ]);
    addInstallationCommands(program, prepareFor);
    addKubernetesCommands(program);
    addVersionCommand(program);
    addClientCommands(program, fail, takeDown);
    addManPage(program);
  }
  await program.parseAsync().catch((error: unknown) => fail(error, 1));
}

void main();
