// logs/remote/: log drivers that send lines to a collector, elsewhere or on the host.
//
// These drivers by name.

import { errorMessage } from '../../../errors';
import type { ContainerLogWriter } from '../../core/container-log';
import { expandTag, logAttributes, type LogSubject } from '../../../semantics/logs/log-attributes';
import { fluentdCollector, fluentdEncoder, fluentdOptions, isAsync } from './fluentd';
import { ForwardingLogWriter, type LogLine } from './forwarding-writer';
import { gelfCollector, gelfEncoder, gelfOptions } from './gelf';
import { hasJournal, journaldCollector, journaldEncoder, journaldOptions } from './journald';
import { LogCollector, type CollectorOptions } from './log-collector';
import { syslogCollector, syslogEncoder, syslogOptions, validateSyslog } from './syslog';

type Options = Readonly<Record<string, string>>;

interface Driver {
  /** Names of the options that it takes. */
  options: readonly string[];
  /** Throws InvalidParameter in Docker's words, and NotImplemented for what this engine can't do. */
  validate: (options: Options) => void;
  collector: (options: Options) => CollectorOptions;
  /** Gives what is sent for a line. */
  encoder: (
    options: Options,
    tag: string,
    subject: LogSubject,
    attributes: Readonly<Record<string, string>>,
  ) => (line: LogLine) => Buffer[];
}

const drivers = {
  syslog: {
    options: syslogOptions,
    validate: (options) => {
      validateSyslog(options);
      syslogCollector({ ...options, 'syslog-tls-ca-cert': '', 'syslog-tls-cert': '', 'syslog-tls-key': '' });
    },
    collector: syslogCollector,
    encoder: syslogEncoder,
  },
  fluentd: {
    options: fluentdOptions,
    validate: fluentdCollector,
    collector: fluentdCollector,
    encoder: (_options, tag, subject, attributes) => fluentdEncoder(tag, subject, attributes),
  },
  gelf: { options: gelfOptions, validate: gelfCollector, collector: gelfCollector, encoder: gelfEncoder },
  journald: {
    options: journaldOptions,
    validate: () => undefined,
    collector: journaldCollector,
    encoder: (_options, tag, subject, attributes) => journaldEncoder(tag, subject, attributes),
  },
} as const satisfies Record<string, Driver>;

export type RemoteDriver = keyof typeof drivers;

/** Also of one that this host lacks. */
export function isRemoteDriver(name: string | undefined): name is RemoteDriver {
  return name !== undefined && Object.hasOwn(drivers, name);
}

/** The drivers that this host can have. */
export function remoteDrivers(): RemoteDriver[] {
  const all = Object.keys(drivers) as RemoteDriver[]; // its own names
  return all.filter((name) => name !== 'journald' || hasJournal());
}

/** Names of the options that the driver takes. */
export function remoteOptions(driver: RemoteDriver): readonly string[] {
  return drivers[driver].options;
}

/** Throws InvalidParameter in Docker's words, and NotImplemented for what this engine can't do. */
export function validateRemoteOptions(driver: RemoteDriver, options: Options): void {
  drivers[driver].validate(options);
}

const defaultTag = '{{.ID}}';

/** Whose lines, and what writes them. */
export interface RemoteLog {
  driver: RemoteDriver;
  options: Options;
  subject: LogSubject;
  /** The container's own. */
  file: ContainerLogWriter;
  /** The container runs already, so a collector that is not there is waited for; else it is the reason not to start. */
  resumed: boolean;
  /** Where our programs are. */
  nativeDir: string;
}

/** Connects, and wraps the writer of the container's own file. */
export async function remoteWriter(remote: RemoteLog): Promise<ContainerLogWriter> {
  const { driver: name, options, subject, file, resumed } = remote;
  const driver: Driver = drivers[name];
  const collector = new LogCollector(driver.collector(options), remote.nativeDir);
  if (resumed || (name === 'fluentd' && isAsync(options))) collector.connectLazily();
  else await collector.connect().catch((error: unknown) => explain(name, error));
  const given = options['tag'] ?? '';
  const tag = expandTag(given === '' ? defaultTag : given, subject);
  const attributes = logAttributes({ ...options, tag: '' }, subject) ?? {};
  return new ForwardingLogWriter(file, collector, driver.encoder(options, tag, subject, attributes));
}

/** In the words of each driver of Docker's. */
function explain(driver: RemoteDriver, cause: unknown): never {
  const reason = errorMessage(cause);
  if (driver === 'journald') throw new Error('journald is not enabled on this host', { cause });
  if (driver === 'gelf') throw new Error(`gelf: cannot connect to GELF endpoint: ${reason}`, { cause });
  throw cause instanceof Error ? cause : new Error(reason);
}
