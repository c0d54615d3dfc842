// Version, info, ping, events: the engine as a whole.

import { httpCases, mainCases, scriptCases } from '../harness/cases';

scriptCases('system', {
  'version of the server': {
    script: `docker version --format '{{.Server.Os}} {{.Server.Arch}}'`,
    bothClis: true,
  },
  'info has what clients look at': `
    docker info --format '{{.OSType}} {{.Architecture}} {{.NCPU}} {{.Driver}} {{.LoggingDriver}} {{.Swarm.LocalNodeState}} {{.ExperimentalBuild}} {{.IndexServerAddress}}'
    docker info --format '{{.MemTotal}}' | awk '{ print ($1 > 1000000000) }'
    docker info --format '{{.Containers}}' | awk '{ print ($1 >= 0) }'`,
});

mainCases('events', [
  'of a run',
  'of stop, kill, restart, pause, rename',
  'filters by event, label and image',
  'as they come',
  'an unknown filter and a bad time',
]);
scriptCases('events', {
  'of a run': {
    script: `
      since=$(date +%s.%N)
      docker run --name $c busybox true
      docker rm $c >/dev/null
      docker events --since $since --until $(date +%s.%N) --filter container=$c --filter type=container --format '{{.Type}} {{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.image}} {{.Actor.Attributes.exitCode}} {{.Scope}}'`,
    bothClis: true,
  },
  'of stop, kill, restart, pause, rename': `
    since=$(date +%s.%N)
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker pause $c >/dev/null; docker unpause $c >/dev/null; docker restart -t 0 $c >/dev/null; docker rename $c $c-2; docker stop -t 0 $c-2 >/dev/null; docker start $c-2 >/dev/null; docker kill -s HUP $c-2 >/dev/null; docker rm -f $c-2 >/dev/null
    docker events --since $since --until $(date +%s.%N) --filter type=container --format '{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.signal}} {{.Actor.Attributes.exitCode}} {{.Actor.Attributes.oldName}}' | grep $c`,
  'of an exec': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    since=$(date +%s.%N)
    docker exec $c sh -c 'exit 3'
    docker events --since $since --until $(date +%s.%N) --filter container=$c --format '{{.Action}} {{.Actor.Attributes.exitCode}}'`,
  'of images': `
    since=$(date +%s.%N)
    docker tag busybox $c:one; docker rmi $c:one >/dev/null
    docker events --since $since --until $(date +%s.%N) --filter type=image --format '{{.Action}} {{.Actor.Attributes.name}}' | grep -E "$c|untag" | head -n 1`,
  'filters by event, label and image': `
    since=$(date +%s.%N)
    docker run --name $c --label l=$c busybox true
    until=$(date +%s.%N)
    docker events --since $since --until $until --filter label=l=$c --filter event=die --filter event=start --format '{{.Action}}'
    docker events --since $since --until $until --filter container=$c --filter image=configured --format '{{.Action}}'
    docker events --since $since --until $until --filter container=$c --filter image=busybox --filter event=create --format '{{.Action}} {{.Actor.Attributes.l}}'`,
  'as they come': `
    timeout 15 docker events --filter container=$c --filter event=start --filter event=die --format '{{.Action}}' & sleep 2; docker run --name $c busybox true; wait $!`,
  'an unknown filter and a bad time': `
    docker events --since 1 --until 2 --filter nonsense=1
    docker events --since nonsense --until 2`,
  'of an OOM kill': `
    since=$(date +%s.%N)
    docker run --name $c --memory 16m --memory-swap 16m busybox sh -c 'tail /dev/zero'
    wait_for 'docker events --since $since --until $(date +%s.%N) --filter container=$c --filter event=oom | grep oom'
    docker inspect -f '{{.State.OOMKilled}}' $c`,
});

httpCases('system over HTTP', {
  ping: 'GET /_ping',
  'ping by HEAD': 'HEAD /_ping',
  'ping with a version': 'GET /v1.40/_ping',
  'an unknown path': 'GET /no-such-path',
  'an unknown path without a version': { request: 'GET /v1.41/no/such/path' },
  'a method that is not there': 'PUT /containers/json',
  'a version too old': { request: 'GET /v1.11/containers/json' },
  'a version too new': { request: 'GET /v9.99/version' },
  'old versions answer': [
    { request: 'GET /v1.24/_ping' },
    { request: 'GET /v1.30/containers/json?filters={"name":["no-such"]}' },
  ],
  'no version prefix': [{ request: 'GET /v1.41/containers/no-such/json' }],
  'auth with nonsense': { request: 'POST /auth', body: '{' },
  'auth against a registry without users': {
    request: 'POST /auth',
    body: { username: 'u', password: 'p', serveraddress: '127.0.0.1:5000' },
  },
  'auth against nothing': {
    request: 'POST /auth',
    body: { username: 'u', password: 'p', serveraddress: '127.0.0.1:1' },
  },
  'swarm is not there': [
    'GET /swarm',
    'GET /nodes',
    'GET /services',
    'GET /tasks',
    'GET /secrets',
    'GET /configs',
  ],
  plugins: 'GET /plugins',
});
