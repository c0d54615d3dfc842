// Lines of the NDJSON answers: pull, push, load, import, build; and events.

export interface ProgressDetail {
  current?: number;
  total?: number;
  start?: number;
  hidecounts?: boolean;
  units?: string;
}

/** Key order on the wire: stream, status, progressDetail, progress, id, errorDetail, error, aux. */
export interface ProgressLine {
  stream?: string;
  status?: string;
  progressDetail?: ProgressDetail;
  /** The bar, for clients that do not draw their own. */
  progress?: string;
  id?: string;
  errorDetail?: { code?: number; message: string };
  error?: string;
  /** Of BuildKit's progress: base64. */
  aux?: object | string;
}

export type EventMessageType =
  | 'builder'
  | 'config'
  | 'container'
  | 'daemon'
  | 'image'
  | 'network'
  | 'node'
  | 'plugin'
  | 'secret'
  | 'service'
  | 'volume';

export interface EventMessage {
  /** With `id` and `from` the form of API < 1.22; dockerd still sends them for containers and images. */
  status?: string;
  id?: string;
  from?: string;
  Type: EventMessageType;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  scope: 'local' | 'swarm';
  /** Seconds. */
  time: number;
  /** Nanoseconds: past 2^53, so a bigint. The API writes it as a JSON number. */
  timeNano: bigint;
}
