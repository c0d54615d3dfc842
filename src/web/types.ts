// What the web server itself answers its page with, below /api/AREA. What else the page asks for is Docker's API (docker/types) and
// Caisson's own (api/v1/types), under the same prefix. Types alone: the page is compiled against them (web/).

/** Answer of POST /login: the session is in the cookie, whose path has this area in it. */
export interface LoginReply {
  area: string;
}

/** GET web/info */
export interface WebInfo {
  /** The daemon's own version. */
  version: string;
  /** Changes with each start of the daemon. */
  instance: string;
  readOnly: boolean;
  experimental: boolean;
}

/** What is measured of a subject. Rates are per second since the sample before. */
export type Measure = 'cpuPercent' | 'memoryBytes' | 'rxBytes' | 'txBytes' | 'readBytes' | 'writtenBytes';

/** Columns of the same length, oldest first. Times are seconds since the epoch; null: not known then. */
export interface Columns {
  time: number[];
  values: Partial<Record<Measure, (number | null)[]>>;
}

export type SubjectKind = 'host' | 'vm' | 'container';

export interface SubjectHistory {
  kind: SubjectKind;
  /** `host`, or the VM's or container's id. */
  id: string;
  /** The most that it was seen with. */
  peakMemoryBytes: number;
  columns: Columns;
}

export type HistorySpan = 'minutes' | 'day';

/** GET web/history?span=minutes|day[&kind=container&id=…] */
export interface History {
  span: HistorySpan;
  subjects: SubjectHistory[];
}

/** GET web/doctor, as `caisson doctor` prints it. */
export interface DoctorFinding {
  level: 'ok' | 'warn' | 'fail';
  subject: string;
  detail: string;
  advice?: string;
}
export interface DoctorReply {
  /** Seconds since the epoch. */
  at: number;
  findings: DoctorFinding[];
}

/** GET web/builds: newest first. Times are milliseconds since the epoch. */
export interface BuildSummary {
  ref: string;
  /** As the client named them: target, file, platform, where it came from. Build arguments are not among them. */
  options: Record<string, string>;
  /** Names of images that it was to make. */
  images: string[];
  startedMs: number;
  endedMs?: number;
  /** Absent: it went well, or goes on. */
  error?: string;
  totalSteps: number;
  cachedSteps: number;
  completedSteps: number;
}

export interface BuildStep {
  name: string;
  /** Indexes of the steps that it needs. */
  inputs: number[];
  cached: boolean;
  startedMs?: number;
  endedMs?: number;
  error: string;
  /** What it wrote; the end of it where that was much. */
  output: string;
}

/** GET web/build?ref=… */
export interface BuildDetail {
  ref: string;
  steps: BuildStep[];
}
