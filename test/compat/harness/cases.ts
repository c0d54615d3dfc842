// Declares cases: each runs against dockerd and against Caisson, and what clients saw must be alike.

import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';

import Docker from 'dockerode';

import { OperationQueue } from '../../../src/async/operation-queue';
import { type DockerCli, runScript } from '../../support/engines/docker-cli';
import { sendHttp, socketPathOf } from '../../support/wire/http-client';
import { projectDir } from '../../support/process/project-dir';
import { tailRuns } from '../../support/shards';
import { replyErrors } from '../../support/wire/wire-replies';
import { exceptions } from '../exceptions';
import { compareTranscripts, type Observation, type Transcript } from './compare';
import { CostMeter, costFile } from './cost';
import {
  compatEnvironment,
  engineUnderTest,
  networkPidOf,
  type CompatTarget,
  type EngineName,
} from './environment';
import { isUnseen, type StatusTable } from '../statuses/steps';
import { inTurn } from './turns';

const cacheDir = join(projectDir, 'build', 'compat-transcripts');
const firstAttemptsLog = join(projectDir, 'build', 'compat-first-attempts.log');

export interface ScriptCase {
  /**
   * Shell, one step a line; a line that ends in a backslash goes on. `$c` is a name of the case's own; `docker -H $OTHER` asks
   * the other engine, where the case itself removes what it made.
   */
  script: string;
  /** Run with every docker command this machine has, not only the first: where clients of different ages ask differently. */
  bothClis?: boolean;
  /** While no other case runs: what it does reaches what others have in the engines. */
  alone?: boolean;
  /** For a step. */
  timeoutSeconds?: number;
}

export interface SdkContext {
  docker: Docker;
  host: string;
  /** Put it into every name you give: what carries it is removed after the case. */
  name: string;
}

export interface HttpCase {
  /** `GET /path`, with `$c` for the case's own name; the version prefix is added unless it has one. */
  request: string;
  body?: unknown;
  headers?: Record<string, string>;
  /** Headers and body are not compared. */
  statusOnly?: boolean;
}

export type HttpSteps = string | HttpCase | readonly (string | HttpCase)[];

const mainOf = new Map<string, readonly string[]>();

/**
 * Of the group, every run takes these cases; its others, and the second docker command, are of the long tail
 * (../../support/shards.ts). Of a group that nobody says this of, every run takes all. Comes before the group.
 */
export function mainCases(group: string, names: readonly string[]): void {
  mainOf.set(group, names);
}

/** The names of the group's main cases. Throws where one is none of the group. */
function mainNames(group: string, cases: Readonly<Record<string, unknown>>): ReadonlySet<string> {
  const main = mainOf.get(group) ?? Object.keys(cases);
  for (const name of main) if (!(name in cases)) throw new Error(`${group} has no case ${name}`);
  return new Set(main);
}

/** The group's cases that this run takes. Throws where a main case is none of the group. */
export function casesHere<Case>(group: string, cases: Readonly<Record<string, Case>>): [string, Case][] {
  const main = mainNames(group, cases);
  return Object.entries(cases).filter(([name]) => main.has(name) || tailRuns(`${group}: ${name}`));
}

/** Scripts of docker commands: exit code, stdout and stderr of each step. */
export function scriptCases(group: string, cases: Record<string, string | ScriptCase>): void {
  const { clis } = compatEnvironment();
  const main = mainNames(group, cases);
  for (const [name, entry] of Object.entries(cases)) {
    const script: ScriptCase = typeof entry === 'string' ? { script: entry } : entry;
    // one after the other: a script's ports are fixed, and all engines and commands have one host
    const variants = new OperationQueue();
    const wanted =
      script.bothClis === true || process.env['CAISSON_COMPAT_CLIS'] === 'all' ? clis : clis.slice(0, 1);
    for (const [index, cli] of wanted.entries()) {
      const isMain = main.has(name) && (index === 0 || !mainOf.has(group));
      if (!isMain && !tailRuns(`${group}: ${name}`)) continue;
      const title = wanted.length > 1 ? `${name} [docker ${cli.version.split('+')[0] ?? ''}]` : name;
      const key = JSON.stringify([script, cli.version]);
      defineCase(group, title, key, (host, caseName) => runSteps(cli, host, caseName, script), {
        begin: (test) => variants.run(test),
        alone: script.alone,
      });
    }
  }
}

/** Plain requests, one connection each: status, telling headers, body. */
export function httpCases(group: string, cases: Record<string, HttpSteps>): void {
  for (const [name, steps] of casesHere(group, cases)) {
    defineCase(group, name, JSON.stringify(steps), (host, caseName) => sendSteps(host, caseName, steps));
  }
}

/**
 * One case for each status: the last answer must have it, on dockerd too. Errors of a container that has to run first are of
 * the long tail: the others cost no VM.
 */
export function statusCases(table: StatusTable): void {
  for (const [operation, statuses] of Object.entries(table)) {
    for (const [status, steps] of Object.entries(statuses)) {
      if (isUnseen(steps)) continue;
      const runsFirst = /POST [^"]*\/start"/.test(JSON.stringify(steps));
      if (runsFirst && Number(status) >= 400 && !tailRuns(`statuses: ${operation} ${status}`)) continue;
      defineCase('statuses', `${operation} ${status}`, JSON.stringify(steps), async (host, caseName) => {
        const transcript = await sendSteps(host, caseName, steps);
        const { value } = transcript.at(-1) as { value: { status: number } };
        if (value.status !== Number(status)) throw new Error(`${host} answers ${JSON.stringify(value)}`);
        return transcript;
      });
    }
  }
}

/** Calls through dockerode; what the function returns is compared. */
export function sdkCases(
  group: string,
  cases: Record<string, (context: SdkContext) => Promise<unknown>>,
): void {
  for (const [name, run] of casesHere(group, cases)) {
    defineCase(group, name, run.toString(), async (host, caseName) => {
      const docker = new Docker({ socketPath: socketPathOf(host), version: 'v1.41' });
      try {
        return [{ label: name, value: await withDeadline(run({ docker, host, name: caseName })) }];
      } catch (error) {
        // an error that the case did not expect is compared too: its status and message
        const { statusCode, json, message } = error as {
          statusCode?: number;
          json?: unknown;
          message: string;
        };
        return [
          { label: name, value: { threw: { statusCode, json, ...(json === undefined ? { message } : {}) } } },
        ];
      }
    });
  }
}

/** A call that hangs must not take the rest of the run with it. */
function withDeadline<T>(work: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('did not end within 300 s')), 300_000);
    void work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/** `byItself`: of a case that shares what it makes with others, without them. */
export type RunCase = (host: string, caseName: string, byItself: boolean) => Promise<Transcript>;

interface CaseOptions {
  alone?: boolean | undefined;
  /** Calls the test when it may start. */
  begin?: (test: () => Promise<void>) => Promise<void>;
  /** What Caisson is compared with. */
  oracle?: 'dockerd' | 'buildkit';
  /** Of a case whose first attempt shares what it makes with others: with which, since it sees some of theirs. The second does not. */
  sharedWith?: string;
}

/** One test: `run` against the oracle and Caisson, and what it saw compared. */
export function defineCase(
  group: string,
  title: string,
  key: string,
  run: RunCase,
  { begin = (test) => test(), oracle = 'dockerd', alone = false, sharedWith }: CaseOptions = {},
): void {
  const fullName = `${group}: ${title}`;
  const digest = createHash('sha256').update(`${fullName}\n${key}`).digest('hex');
  const caseName = `c${digest.slice(0, 7)}`;
  const file = relative(join(projectDir, 'test', 'compat'), expect.getState().testPath ?? '');
  if (isLeftOut(fullName)) return;
  test.concurrent(
    fullName,
    () =>
      begin(async () => {
        const { target, hosts, knownIds } = compatEnvironment();
        const meter = new CostMeter(file, fullName);
        let attempts = 0;
        /** A transcript counts for the same form of the case alone. */
        const savedAs = (form: string): string => {
          const file = createHash('sha256').update(`${fullName}\n${key}${form}`).digest('hex');
          return join(cacheDir, `${file.slice(0, 32)}.json`);
        };
        const isByItself = (): boolean =>
          sharedWith === undefined ||
          (attempts > 1 && (hosts[oracle] !== undefined || existsSync(savedAs('\nby itself'))));
        let runs = 0;
        const runOn = async (engine: EngineName): Promise<Transcript> => {
          const host = hosts[engine];
          if (host === undefined) throw new Error(`${engine} is not running`);
          return meter.measure(engine, async () => {
            // of an attempt that broke off, or of a run that left the engines as they were
            if (attempts > 1 || process.env['CAISSON_COMPAT_KEEP'] !== undefined)
              await removeLeftovers(host, caseName);
            // What else prunes Caisson's cache asks another dockerd: here it may be full and there empty.
            if (attempts > 1 && oracle === 'buildkit')
              await sendHttp(host, { method: 'POST', path: '/v1.41/build/prune?all=1' });
            runs += 1;
            // where dockerd is compared with itself, what is shared is with what is not
            const byItself = isByItself() || (target === 'dockerd' && runs > 1);
            const transcript = await run(host, caseName, byItself);
            const left = await removeLeftovers(host, caseName);
            const whole =
              left.length === 0 ? transcript : [...transcript, { label: '(clean-up)', value: left }];
            // as it comes back from a file: no undefined, no Buffers
            return JSON.parse(JSON.stringify(whole)) as Transcript;
          });
        };
        const expectedTranscript = async (fresh: boolean): Promise<Transcript> => {
          const saved = savedAs(
            sharedWith === undefined ? '' : isByItself() ? '\nby itself' : `\n${sharedWith}`,
          );
          if (!fresh && comparesWithLast(target) && existsSync(saved)) {
            // written below by a run that had dockerd
            return JSON.parse(readFileSync(saved, 'utf8')) as Transcript;
          }
          const transcript = await runOn(oracle);
          mkdirSync(cacheDir, { recursive: true });
          // whole or not at all: a run on a cluster may read it beside this one
          writeFileSync(`${saved}.${process.pid}`, JSON.stringify(transcript, null, 1));
          renameSync(`${saved}.${process.pid}`, saved);
          return transcript;
        };
        const compareOnce = async (fresh: boolean): Promise<string[]> => {
          attempts += 1;
          meter.attempt();
          const expected = await expectedTranscript(fresh);
          if (process.env['CAISSON_COMPAT_SHOW'] !== undefined) show(fullName, expected);
          const actual = await runOn(target === 'dockerd' ? oracle : engineUnderTest(target));
          return compareTranscripts(expected, actual, {
            caseName: fullName,
            knownIds,
            exceptions: exceptions.filter(({ engine }) => engine === undefined || engine === target),
          });
        };
        // Scripts have time in them, and a loaded machine may stretch it on either side: a difference must show twice, the
        // second time with the engines to itself.
        let differences: string[];
        try {
          differences = await inTurn(alone || costFile !== undefined, () => compareOnce(false));
        } catch (error) {
          differences = [String(error)];
        }
        if (differences.length > 0) {
          noteFirstAttempt(fullName, differences);
          differences = await inTurn(true, () => compareOnce(target !== 'caisson'));
        }
        meter.end();
        if (differences.length > 0)
          throw new Error(`${differences.length} differences\n  ${differences.join('\n  ')}`);
      }),
    2_400_000, // a turn alone may be long in coming; but a case that hangs is to be named before the whole run is given up
  );
}

/** Of a case for which there is no ground on a cluster, as the list of exceptions says. */
function isLeftOut(caseName: string): boolean {
  const { target } = compatEnvironment();
  return exceptions.some(
    ({ engine, leftOut, cases }) => leftOut === true && engine === target && cases?.test(caseName) === true,
  );
}

function comparesWithLast(target: CompatTarget): boolean {
  return target === 'caisson' || target === 'kubernetes';
}

/** Keeps what a second attempt may hide, for whoever wants to know which cases are near to failing. */
function noteFirstAttempt(name: string, differences: readonly string[]): void {
  appendFileSync(firstAttemptsLog, `${name}\n  ${differences.join('\n  ')}\n`);
}

async function runSteps(
  cli: DockerCli,
  host: string,
  caseName: string,
  options: ScriptCase,
): Promise<Transcript> {
  const environment = compatEnvironment();
  const { hosts } = environment;
  const results = await runScript({
    cli,
    host,
    steps: splitSteps(options.script),
    variables: {
      c: caseName,
      HOST_NETWORK: `/proc/${networkPidOf(environment, host)}/ns/net`,
      OTHER: [hosts.dockerd, hosts.caisson].find((other) => other !== undefined && other !== host) ?? host,
    },
    timeoutMs: (options.timeoutSeconds ?? 90) * 1000,
  });
  return results.map(({ step, ...seen }) => ({ label: `$ ${step}`, ...seen }));
}

export function splitSteps(script: string): string[] {
  return script
    .replace(/\\\n\s*/g, '')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/** `$id` in a request is the `Id` of the last answer that had one. */
async function sendSteps(host: string, caseName: string, steps: HttpSteps): Promise<Transcript> {
  const list = (Array.isArray(steps) ? steps : [steps]) as (string | HttpCase)[];
  const transcript: Observation[] = [];
  let id = '';
  for (const step of list) {
    const request: HttpCase = typeof step === 'string' ? { request: step } : step;
    const seen = await sendStep(
      host,
      (text) => text.replaceAll('$c', caseName).replaceAll('$id', id),
      request,
    );
    id = (seen.value.body as { Id?: string } | null)?.Id ?? id;
    if (request.statusOnly === true) seen.value = { status: seen.value.status };
    transcript.push(seen);
  }
  return transcript;
}

interface SeenReply extends Observation {
  value: { status: number; headers?: object; body?: unknown };
}

async function sendStep(
  host: string,
  fill: (text: string) => string,
  { request, body, headers }: HttpCase,
): Promise<SeenReply> {
  const [method = 'GET', rawPath = '/'] = request.split(' ');
  const path = fill(rawPath);
  const reply = await sendHttp(host, {
    method,
    path: /^\/(v\d|_ping)/.test(path) ? path : `/v1.41${path}`,
    ...(headers === undefined ? {} : { headers }),
    ...(body === undefined
      ? {}
      : { body: typeof body === 'string' ? fill(body) : JSON.parse(fill(JSON.stringify(body))) }),
  });
  const errors = replyErrors({ method, path, status: reply.status, body: reply.body });
  // Of either engine: where dockerd's own answer is none, the declaration is wrong.
  if (errors.length > 0) throw new Error(`not as declared in src/docker:\n  ${errors.join('\n  ')}`);
  const telling = [
    'content-type',
    'docker-experimental',
    'ostype',
    'cache-control',
    'pragma',
    'location',
    'allow',
  ];
  const shown = Object.fromEntries(
    telling.flatMap((name) => (name in reply.headers ? [[name, reply.headers[name]]] : [])),
  );
  return { label: request, value: { status: reply.status, headers: shown, body: parseBody(reply.body) } };
}

function parseBody(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    return body;
  }
}

/** Removes what carries the case's name; returns what could not be removed. */
async function removeLeftovers(host: string, caseName: string): Promise<string[]> {
  const failures: string[] = [];
  const remove = async (path: string, alsoFine: readonly number[]): Promise<void> => {
    const reply = await sendHttp(host, { method: 'DELETE', path: `/v1.41${path}` });
    if (reply.status >= 400 && !alsoFine.includes(reply.status)) failures.push(reply.body);
  };
  for (const { Id, Names, Labels } of await list(host, '/containers/json?all=1')) {
    const ours = (Names ?? []).some((name) => name.includes(caseName)) || Labels?.['case'] === caseName;
    if (ours) await remove(`/containers/${Id}?force=1&v=1`, [404, 409]);
  }
  const [images, volumes, networks] = await Promise.all([
    list(host, '/images/json'),
    list(host, '/volumes'),
    list(host, '/networks'),
  ]);
  for (const tag of images.flatMap(({ RepoTags }) => RepoTags ?? []))
    if (tag.includes(caseName)) await remove(`/images/${tag}?force=1`, [404, 409, 500]);
  for (const { Name } of volumes)
    if (Name?.includes(caseName) === true) await remove(`/volumes/${Name}?force=1`, [404]);
  for (const { Id, Name } of networks)
    if (Name?.includes(caseName) === true) await remove(`/networks/${Id}`, [404]);
  return failures;
}

interface Listed {
  Id: string;
  Name?: string;
  Names?: string[];
  Labels?: Record<string, string>;
  RepoTags?: string[];
}

/** What an engine lists at the path; volumes come in an object. */
async function list(host: string, path: string): Promise<Listed[]> {
  const reply = await sendHttp(host, { method: 'GET', path: `/v1.41${path}` });
  if (reply.status !== 200) return [];
  const listed = JSON.parse(reply.body) as Listed[] | { Volumes: Listed[] };
  return Array.isArray(listed) ? listed : listed.Volumes;
}

function show(name: string, transcript: Transcript): void {
  const lines = transcript.map(
    ({ label, exitCode, stdout, stderr, value }) =>
      `${label}\n${exitCode === undefined ? '' : `  [${exitCode}] `}${stdout ?? ''}${stderr === undefined || stderr === '' ? '' : `\n  2> ${stderr}`}${value === undefined ? '' : JSON.stringify(value).slice(0, 3000)}`,
  );
  process.stdout.write(`\n### ${name}\n${lines.join('\n')}\n`);
}
