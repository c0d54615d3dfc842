// Metrics for Prometheus: dockerd's names where it has the same, and those of VMs. Served on an address of their own.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import * as os from 'node:os';
import type { AddressInfo } from 'node:net';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { DaemonError, errorMessage } from '../errors';
import { log } from '../log';

export interface MetricsSources {
  versions: { engine: string; gitCommit: string; guestKernel: string };
  engineId: string;
  graphDriver: string;
  /** Containers by state, as `info` counts them. */
  containers: () => { running: number; paused: number; stopped: number };
  vms: () => { idle: number; associated: number };
  events: () => { published: number; listeners: number };
  /** Probes since the daemon's start. */
  healthChecks: () => { run: number; failed: number };
}

export interface Metrics {
  /** For the API: each request, when it begins. */
  onRequest(request: IncomingMessage, response: ServerResponse): void;
  /** In the text format of Prometheus. */
  text(): Promise<string>;
}

/** What dockerd measures as a container's action, by method and the last word of the path. */
const actions: Readonly<Record<string, string>> = {
  'POST create': 'create',
  'POST start': 'start',
  'POST commit': 'commit',
  'GET changes': 'changes',
  'DELETE ': 'delete',
};
const durationBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export function createMetrics(sources: MetricsSources): Metrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const gauge = (name: string, help: string, read: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(read());
      },
    });
  };
  const { versions } = sources;
  new Gauge({
    name: 'engine_daemon_engine_info',
    help: 'The information related to the engine and the OS it is running on',
    labelNames: ['architecture', 'commit', 'daemon_id', 'graphdriver', 'kernel', 'os_type', 'version'],
    registers,
  }).set(
    {
      architecture: os.machine(),
      commit: versions.gitCommit,
      daemon_id: sources.engineId,
      graphdriver: sources.graphDriver,
      kernel: versions.guestKernel,
      os_type: 'linux',
      version: versions.engine,
    },
    1,
  );
  gauge('engine_daemon_engine_cpus_cpus', 'The number of cpus that the host has', () => os.cpus().length);
  gauge('engine_daemon_engine_memory_bytes', 'The bytes of memory that the host has', () => os.totalmem());
  gauge(
    'engine_daemon_events_subscribers_total',
    'The number of current subscribers to events',
    () => sources.events().listeners,
  );
  new Gauge({
    name: 'engine_daemon_container_states_containers',
    help: 'The count of containers in various states',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, count] of Object.entries(sources.containers())) this.set({ state }, count);
    },
  });
  new Gauge({
    name: 'caisson_vms',
    help: 'Virtual machines: idle ones of the pool, and those with a Pod',
    labelNames: ['state'],
    registers,
    collect() {
      const { idle, associated } = sources.vms();
      this.set({ state: 'idle' }, idle);
      this.set({ state: 'associated' }, associated);
    },
  });
  const counter = (name: string, help: string, read: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  };
  counter(
    'engine_daemon_health_checks_total',
    'The total number of health checks',
    () => sources.healthChecks().run,
  );
  counter(
    'engine_daemon_health_checks_failed_total',
    'The total number of failed health checks',
    () => sources.healthChecks().failed,
  );
  counter('engine_daemon_events_total', 'The number of events logged', () => sources.events().published);
  const containerActions = new Histogram({
    name: 'engine_daemon_container_actions_seconds',
    help: 'The number of seconds it takes to process each container action',
    labelNames: ['action'],
    buckets: durationBuckets,
    registers,
  });
  // There before any was done, as dockerd's are.
  for (const action of new Set(Object.values(actions))) containerActions.zero({ action });
  const hostInfo = new Histogram({
    name: 'engine_daemon_host_info_functions_seconds',
    help: 'The number of seconds it takes to gather what the system is',
    labelNames: ['function'],
    buckets: durationBuckets,
    registers,
  });
  hostInfo.zero({ function: 'system_info' });
  const builds = new Counter({
    name: 'builder_builds_triggered_total',
    help: 'Number of triggered image builds',
    registers,
  });
  const requests = new Counter({
    name: 'caisson_http_requests_total',
    help: 'Requests of the API that were answered, by method and status',
    labelNames: ['method', 'code'],
    registers,
  });
  return {
    text: () => registry.metrics(),
    onRequest(request, response) {
      const startedAt = performance.now();
      const path = pathOf(request);
      const action = actionOf(request.method ?? '', path);
      const isInfo = request.method === 'GET' && path === '/info';
      if (request.method === 'POST' && path === '/build') builds.inc();
      response.once('close', () => {
        if (isInfo) hostInfo.observe({ function: 'system_info' }, (performance.now() - startedAt) / 1000);
        requests.inc({ method: request.method ?? '', code: response.statusCode });
        if (action === undefined || response.statusCode >= 300) return;
        containerActions.observe({ action }, (performance.now() - startedAt) / 1000);
      });
    },
  };
}

/** Without the API's version. */
function pathOf({ url = '' }: IncomingMessage): string {
  return (url.split('?')[0] ?? '').replace(/^\/v\d+\.\d+(?=\/)/, '');
}

function actionOf(method: string, path: string): string | undefined {
  if (path === '/commit') return actions[`${method} commit`];
  const match = /^\/containers\/[^/]+(?:\/([a-z]+))?$/.exec(path);
  if (match === null) return undefined;
  return path === '/containers/create' ? actions[`${method} create`] : actions[`${method} ${match[1] ?? ''}`];
}

/** Serves `/metrics` on `host:port`. Resolves with the real address and what closes it. */
export async function serveMetrics(
  address: string,
  metrics: Metrics,
): Promise<{ address: string; close: () => Promise<void> }> {
  const match = /^(?:\[([\da-fA-F:.]+)\]|([^:]*)):(\d{1,5})$/.exec(address);
  if (match === null || Number(match[3]) > 65_535) {
    throw new DaemonError('InvalidParameter', `invalid address for metrics: ${address}`);
  }
  const server = createServer((request, response) => {
    if ((request.url ?? '').split('?')[0] !== '/metrics') {
      response.writeHead(404, { 'Content-Type': 'text/plain' }).end('404 page not found\n');
      return;
    }
    metrics.text().then(
      (text) =>
        response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4; charset=utf-8' }).end(text),
      (error: unknown) => {
        log.error('metrics could not be gathered', { error });
        response.writeHead(500).end();
      },
    );
  });
  const host = match[1] ?? match[2] ?? '';
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ port: Number(match[3]), ...(host === '' ? {} : { host }) }, resolve);
    });
  } catch (error) {
    throw new DaemonError('InvalidParameter', `metrics on ${address}: ${errorMessage(error)}`, {
      cause: error,
    });
  }
  const { port } = server.address() as AddressInfo; // it listens on TCP
  const bound = `${host}:${port}`;
  log.info('metrics', { address: bound });
  return {
    address: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
