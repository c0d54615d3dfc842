// logs/remote/: log drivers that send lines to a collector on another machine.
//
// The drivers that send lines to a collector, by name.

import type { ContainerLogWriter } from '../../core/container-log';
import { expandTag, logAttributes, type LogSubject } from '../records/log-attributes';
import { fluentdCollector, fluentdEncoder, fluentdOptions, isAsync } from './fluentd';
import { ForwardingLogWriter } from './forwarding-writer';
import { LogCollector } from './log-collector';
import { syslogCollector, syslogEncoder, syslogOptions, validateSyslog } from './syslog';

type Options = Readonly<Record<string, string>>;

export type RemoteDriver = 'syslog' | 'fluentd';

export function isRemoteDriver(name: string | undefined): name is RemoteDriver {
  return name === 'syslog' || name === 'fluentd';
}

/** Names of the options that the driver takes. */
export function remoteOptions(driver: RemoteDriver): readonly string[] {
  return driver === 'syslog' ? syslogOptions : fluentdOptions;
}

/** Throws InvalidParameter in Docker's words, and NotImplemented for what this engine can't do. */
export function validateRemoteOptions(driver: RemoteDriver, options: Options): void {
  if (driver === 'syslog') {
    validateSyslog(options);
    syslogCollector({ ...options, 'syslog-tls-ca-cert': '', 'syslog-tls-cert': '', 'syslog-tls-key': '' });
  } else fluentdCollector(options);
}

const defaultTag = '{{.ID}}';

/**
 * Connects, and wraps the writer of the container's own file. `resumed`: the container runs already, so a collector that is
 * not there is waited for; else it is the reason not to start.
 */
export async function remoteWriter(
  driver: RemoteDriver,
  options: Options,
  subject: LogSubject,
  file: ContainerLogWriter,
  { resumed }: { resumed: boolean },
): Promise<ContainerLogWriter> {
  const collector = new LogCollector(
    driver === 'syslog' ? syslogCollector(options) : fluentdCollector(options),
  );
  if (resumed || (driver === 'fluentd' && isAsync(options))) collector.connectLazily();
  else await collector.connect();
  const given = options['tag'] ?? '';
  const tag = expandTag(given === '' ? defaultTag : given, subject);
  const encode =
    driver === 'syslog'
      ? syslogEncoder(options, tag)
      : fluentdEncoder(tag, subject, logAttributes({ ...options, tag: '' }, subject) ?? {});
  return new ForwardingLogWriter(file, collector, encode);
}
