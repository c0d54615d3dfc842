// Structured log: one logfmt-like line per event on stderr. Never a credential, never a container's environment.

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];
type Fields = Record<string, unknown>;

let threshold: LogLevel = 'info';

/** Sets the least severe level that is written. */
export function setLogLevel(level: LogLevel): void {
  threshold = level;
}

function fieldText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(value.stack ?? value.message);
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[\w./:@+-]+$/.test(text) ? text : JSON.stringify(text);
}

function write(level: LogLevel, event: string, fields: Fields): void {
  if (logLevels.indexOf(level) < logLevels.indexOf(threshold)) return;
  const rest = Object.entries(fields).filter(([, value]) => value !== undefined);
  const tail = rest.map(([key, value]) => ` ${key}=${fieldText(value)}`).join('');
  process.stderr.write(
    `time=${new Date().toISOString()} level=${level} msg=${JSON.stringify(event)}${tail}\n`,
  );
}

/** A line is an event and its fields: `log.info('vm booted', { vmId, bootMs })`. */
export const log = {
  debug: (event: string, fields: Fields = {}) => write('debug', event, fields),
  info: (event: string, fields: Fields = {}) => write('info', event, fields),
  warn: (event: string, fields: Fields = {}) => write('warn', event, fields),
  error: (event: string, fields: Fields = {}) => write('error', event, fields),
};
