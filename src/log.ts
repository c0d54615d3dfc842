// Structured log: one line per event on stderr, logfmt-like or JSON. Never a credential, never a container's environment.

export const logLevels = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];
export type LogFormat = 'text' | 'json';
type Fields = Record<string, unknown>;

let threshold: LogLevel = 'info';
let logFormat: LogFormat = 'text';

/** Sets the least severe level that is written. */
export function setLogLevel(level: LogLevel): void {
  threshold = level;
}

export function setLogFormat(format: LogFormat): void {
  logFormat = format;
}

/** Of one field: a request's path may have a megabyte, and what a client sends comes back in errors. */
const maxFieldLength = 8192;

function shortened(text: string): string {
  return text.length > maxFieldLength ? `${text.slice(0, maxFieldLength)}…` : text;
}

function fieldText(value: unknown): string {
  if (value instanceof Error) return JSON.stringify(shortened(value.stack ?? value.message));
  const text = shortened(typeof value === 'string' ? value : JSON.stringify(value));
  return /^[\w./:@+-]+$/.test(text) ? text : JSON.stringify(text);
}

function fieldValue(value: unknown): unknown {
  if (value instanceof Error) return shortened(value.stack ?? value.message);
  return typeof value === 'string' ? shortened(value) : value;
}

function write(level: LogLevel, event: string, fields: Fields): void {
  if (logLevels.indexOf(level) < logLevels.indexOf(threshold)) return;
  const rest = Object.entries(fields).filter(([, value]) => value !== undefined);
  if (logFormat === 'json') {
    const plain = rest.map(([key, value]) => [key, fieldValue(value)]);
    const line = {
      time: new Date().toISOString(),
      level,
      msg: event,
      ...(Object.fromEntries(plain) as Fields),
    };
    process.stderr.write(`${JSON.stringify(line)}\n`);
    return;
  }
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
