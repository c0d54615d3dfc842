// testcontainers for Node, without its reaper (Ryuk) and with one that does what Ryuk does, by the engine's socket in a container.

import { join } from 'node:path';

import { projectDir } from '../../support/process/project-dir';
import { scriptCases } from '../harness/cases';

const clients = join(projectDir, 'test', 'compat', 'clients');
const client = join(clients, 'testcontainers-client.mjs');

scriptCases('testcontainers', {
  'start, wait for a port, exec, logs, restart, stop': {
    script: `
      TESTCONTAINERS_RYUK_DISABLED=true on_host ${process.execPath} ${client} $c
      docker ps -aq --filter label=case=$c`,
    timeoutSeconds: 120,
  },
  'what a program leaves goes with its reaper': {
    script: `
      mkdir $c; cp ${join(clients, 'ryuk.pl')} $c; printf 'FROM debian:12\\nCOPY ryuk.pl /\\nEXPOSE 8080\\nCMD ["perl", "/ryuk.pl"]\\n' >$c/Dockerfile
      DOCKER_BUILDKIT=0 docker build -q -t $c-ryuk $c >/dev/null
      RYUK_CONTAINER_IMAGE=$c-ryuk:latest RYUK_RECONNECTION_TIMEOUT=1s on_host ${process.execPath} ${join(clients, 'testcontainers-reaper-client.mjs')} $c >$c/out; head -n 1 $c/out
      ryuk=$(docker ps -aq --filter ancestor=$c-ryuk); docker wait $ryuk; docker logs $ryuk; docker rm -v $ryuk >/dev/null
      docker ps -aq --filter label=case=$c; docker network ls -q --filter name=$(tail -n 1 $c/out)`,
    timeoutSeconds: 120,
  },
});
