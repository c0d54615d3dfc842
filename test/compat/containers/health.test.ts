// Health checks and restart policies.

import { mainCases, scriptCases } from '../harness/cases';

const health = `docker inspect -f '{{.State.Health.Status}} {{.State.Health.FailingStreak}}'`;

mainCases('health', [
  'starting, healthy, unhealthy, with events and log',
  'one that takes too long',
  'stopped, and started again',
  'none, and options that are wrong',
]);
scriptCases('health', {
  'starting, healthy, unhealthy, with events and log': `
    since=$(date +%s.%N)
    docker run -d --name $c --health-cmd 'test -e /ok && echo fine || { echo broken; exit 3; }' --health-interval 1s --health-timeout 10s --health-retries 2 busybox sleep 300 >/dev/null
    ${health} $c
    docker ps --filter name=$c --format '{{.Status}}' | grep -o 'health: .*)'
    wait_for "${health} $c | grep unhealthy"
    docker inspect -f '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' $c
    docker exec $c touch /ok
    wait_for "${health} $c | grep '^healthy 0'"
    docker ps --filter health=healthy --filter name=$c --format '{{.Names}}'
    docker events --since $since --until $(date +%s.%N) --filter container=$c --filter event=health_status --format '{{.Action}} {{.Actor.Attributes.name}}'
    docker inspect -f '{{with index .State.Health.Log 0}}{{.Start.IsZero}} {{.End.IsZero}}{{end}}' $c`,
  'one that takes too long': `
    docker run -d --name $c --health-cmd 'echo begun; sleep 100' --health-interval 1s --health-timeout 1s --health-retries 1 busybox sleep 300 >/dev/null
    wait_for "${health} $c | grep unhealthy"
    docker inspect -f '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' $c`,
  'no shell, a program that is not there': `
    docker create --name $c-1 --health-cmd none busybox true >/dev/null
    curl -s --unix-socket $(echo $DOCKER_HOST | sed s,unix://,,) -H 'Content-Type: application/json' -d '{"Image":"busybox","Cmd":["sleep","300"],"Healthcheck":{"Test":["CMD","nope"],"Interval":1000000000,"Retries":1}}' "http://d/v1.41/containers/create?name=$c" >/dev/null
    docker start $c >/dev/null
    wait_for "${health} $c | grep unhealthy"
    docker inspect -f '{{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' $c`,
  'a long output is cut': `
    docker run -d --name $c --health-cmd 'head -c 6000 /dev/zero | tr "\\0" x' --health-interval 1s busybox sleep 300 >/dev/null
    wait_for "${health} $c | grep healthy"
    docker inspect -f '{{len (index .State.Health.Log 0).Output}}' $c`,
  'at most five results': `
    docker run -d --name $c --health-cmd 'date +%N >> /runs; wc -l < /runs' --health-interval 1s busybox sleep 300 >/dev/null
    wait_for "docker exec $c sh -c 'test \\$(wc -l < /runs) -ge 7'"
    docker inspect -f '{{len .State.Health.Log}}' $c`,
  'the start period forgives': `
    docker run -d --name $c --health-cmd 'echo x >> /runs; exit 1' --health-interval 1s --health-start-period 120s --health-retries 1 busybox sleep 300 >/dev/null
    wait_for "docker exec $c sh -c 'test \\$(wc -l < /runs) -ge 2'"
    ${health} $c`,
  'stopped, and started again': `
    docker run -d --name $c --health-cmd true --health-interval 1s busybox sleep 300 >/dev/null
    wait_for "${health} $c | grep healthy"
    docker stop -t 0 $c >/dev/null; ${health} $c
    docker start $c >/dev/null; ${health} $c`,
  paused: `
    docker run -d --name $c --health-cmd true --health-interval 1s busybox sleep 300 >/dev/null
    wait_for "${health} $c | grep healthy"
    docker pause $c >/dev/null; ${health} $c; docker unpause $c >/dev/null; ${health} $c`,
  'none, and options that are wrong': `
    docker run -d --name $c --no-healthcheck busybox sleep 300 >/dev/null; docker inspect -f '{{json .State.Health}} {{json .Config.Healthcheck}}' $c
    docker create --name $c-2 --health-cmd x --health-interval 1us busybox
    docker create --name $c-3 --health-cmd x --health-timeout 1us busybox
    docker create --name $c-4 --health-cmd x --health-retries -1 busybox
    docker create --name $c-5 --health-cmd x --health-start-period -1s busybox`,
});

mainCases('restart policies', [
  'on-failure counts, and ends',
  'always, until it is stopped',
  'a kill is no stop',
]);
scriptCases('restart policies', {
  'on-failure counts, and ends': `
    docker run -d --name $c --restart on-failure:2 busybox sh -c 'exit 3' >/dev/null
    wait_for "docker inspect -f '{{.State.Status}}' $c | grep exited"
    docker inspect -f '{{.RestartCount}} {{.State.ExitCode}} {{.State.Restarting}} {{.State.Running}}' $c`,
  'on-failure leaves success alone': `
    docker run -d --name $c --restart on-failure busybox true >/dev/null; docker wait $c
    docker inspect -f '{{.RestartCount}} {{.State.Status}}' $c`,
  'always, until it is stopped': `
    docker run -d --name $c --restart always busybox sh -c 'test -e /stay && exec sleep 300; sleep 0.2' >/dev/null
    wait_for "docker inspect -f '{{.RestartCount}}' $c | grep -v '^[01]$'"
    docker stop -t 0 $c >/dev/null; n=$(docker inspect -f '{{.RestartCount}}' $c); sleep 2; test $n = $(docker inspect -f '{{.RestartCount}}' $c); docker inspect -f '{{.State.Status}}' $c
    touch stay; docker cp stay $c:/ 2>/dev/null; docker start $c >/dev/null; docker inspect -f '{{.RestartCount}}' $c`,
  'a kill is no stop': `
    docker run -d --name $c --restart always busybox sleep 300 >/dev/null
    docker kill $c >/dev/null; sleep 1
    wait_for "docker inspect -f '{{.State.Status}}' $c | grep -E 'running|exited'"; docker inspect -f '{{.State.Status}}' $c`,
  'the process ends by itself': `
    docker run -d --name $c --restart unless-stopped busybox sh -c 'trap "exit 4" TERM; touch /ready; sleep 300 & wait' >/dev/null
    wait_for "docker exec $c test -e /ready"; docker exec $c kill 1; wait_for "docker inspect -f '{{.RestartCount}} {{.State.Status}}' $c | grep '1 running'"
    docker inspect -f '{{.State.ExitCode}} {{.State.Restarting}}' $c`,
  'update takes the policy away': `
    docker run -d --name $c --restart always busybox sh -c 'sleep 1; exit 1' >/dev/null
    docker update --restart no $c >/dev/null; wait_for "docker inspect -f '{{.State.Status}}' $c | grep exited"
    docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' $c`,
  refusals: `
    docker create --name $c --restart sometimes busybox
    docker create --name $c --restart always:3 busybox
    docker create --name $c --restart on-failure:-1 busybox
    docker create --name $c --rm --restart always busybox`,
  'logs and attach through a restart': `
    # dockerd may look for the exit code when the restart has reset it to 0
    docker run --name $c --restart on-failure:1 busybox sh -c 'echo run; exit 2' || [ $? = 2 ]
    wait_for "docker inspect -f '{{.State.Status}} {{.RestartCount}}' $c | grep 'exited 1'"
    docker logs $c`,
  'wait answers at the first end': `
    docker run -d --name $c --restart on-failure:2 busybox sh -c 'sleep 1; exit 5' >/dev/null; docker wait $c`,
});
