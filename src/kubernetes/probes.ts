// Probes and lifecycle hooks of a container, with names of ports resolved.

import { ManifestError } from './manifest-error';
import type { ActionPlan, ContainerPlan, ProbePlan } from './plan';
import type { Container, Handler, Probe } from './schema/container';

/** Throws ManifestError. */
export function planProbes(container: Container, path: string): Pick<ContainerPlan, 'probes' | 'hooks'> {
  const { startupProbe, livenessProbe, readinessProbe, lifecycle } = container;
  const probe = (given: Probe | undefined, name: string): ProbePlan | undefined =>
    given === undefined ? undefined : planProbe(given, container, `${path}.${name}`);
  const startup = probe(startupProbe, 'startupProbe');
  const liveness = probe(livenessProbe, 'livenessProbe');
  const readiness = probe(readinessProbe, 'readinessProbe');
  for (const [name, plan] of Object.entries({ startupProbe: startup, livenessProbe: liveness })) {
    if ((plan?.successThreshold ?? 1) !== 1) {
      throw new ManifestError(`${path}.${name}.successThreshold: must be 1`);
    }
  }
  const hook = (handler: Handler | undefined, name: string): ActionPlan | undefined =>
    handler === undefined ? undefined : planAction(handler, container, `${path}.lifecycle.${name}`);
  const postStart = hook(lifecycle?.postStart, 'postStart');
  const preStop = hook(lifecycle?.preStop, 'preStop');
  return {
    probes: {
      ...(startup === undefined ? {} : { startup }),
      ...(liveness === undefined ? {} : { liveness }),
      ...(readiness === undefined ? {} : { readiness }),
    },
    hooks: {
      ...(postStart === undefined ? {} : { postStart }),
      ...(preStop === undefined ? {} : { preStop }),
    },
  };
}

function planProbe(probe: Probe, container: Container, path: string): ProbePlan {
  return {
    action: planAction(probe, container, path),
    initialDelaySeconds: probe.initialDelaySeconds ?? 0,
    periodSeconds: probe.periodSeconds ?? 10,
    timeoutSeconds: probe.timeoutSeconds ?? 1,
    successThreshold: probe.successThreshold ?? 1,
    failureThreshold: probe.failureThreshold ?? 3,
    ...(probe.terminationGracePeriodSeconds === undefined
      ? {}
      : { gracePeriodSeconds: probe.terminationGracePeriodSeconds }),
  };
}

function planAction(handler: Handler, container: Container, path: string): ActionPlan {
  const { exec, httpGet, tcpSocket, sleep } = handler;
  if ([exec, httpGet, tcpSocket, sleep].filter((action) => action !== undefined).length !== 1) {
    throw new ManifestError(`${path}: needs exactly one of exec, httpGet and tcpSocket`);
  }
  if (exec !== undefined) return { kind: 'exec', command: exec.command };
  if (httpGet !== undefined) {
    return {
      kind: 'http',
      scheme: httpGet.scheme === 'HTTPS' ? 'https' : 'http',
      ...(httpGet.host === undefined ? {} : { host: httpGet.host }),
      port: portNumber(httpGet.port, container, `${path}.httpGet.port`),
      path: `/${(httpGet.path ?? '').replace(/^\//, '')}`,
      headers: httpGet.httpHeaders ?? [],
    };
  }
  if (tcpSocket !== undefined) {
    return {
      kind: 'tcp',
      ...(tcpSocket.host === undefined ? {} : { host: tcpSocket.host }),
      port: portNumber(tcpSocket.port, container, `${path}.tcpSocket.port`),
    };
  }
  return { kind: 'sleep', seconds: sleep?.seconds ?? 0 };
}

function portNumber(port: number | string, container: Container, path: string): number {
  if (typeof port === 'number') return port;
  const named = container.ports?.find(({ name }) => name === port);
  if (named === undefined) throw new ManifestError(`${path}: the container has no port "${port}"`);
  return named.containerPort;
}
