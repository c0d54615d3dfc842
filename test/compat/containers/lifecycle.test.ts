// create, start, stop, restart, kill, wait, pause, rename, rm: states and what each verb says in each of them.

import { mainCases, scriptCases } from '../harness/cases';

const state = `'{{.State.Status}} {{.State.Running}} {{.State.Paused}} {{.State.Restarting}} {{.State.OOMKilled}} {{.State.Dead}} {{.State.ExitCode}} [{{.State.Error}}]'`;

mainCases('lifecycle: create', [
  'created, not started',
  'a name in use',
  'invalid names',
  'labels',
  'an image by id, short id, digest and tag',
]);
scriptCases('lifecycle: create', {
  'the time of a pause has passed for whoever was paused': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    before=$(docker exec $c cut -d. -f1 /proc/uptime); docker pause $c; sleep 4; docker unpause $c
    after=$(docker exec $c cut -d. -f1 /proc/uptime); test $((after - before)) -ge 3 && echo timers
    inside=$(docker exec $c date +%s); outside=$(date +%s); test $((outside - inside)) -le 2 && echo clock`,
  'created, not started': {
    script: `
      docker create --name $c busybox true
      docker inspect -f ${state} $c
      docker inspect -f '{{.State.StartedAt}} {{.State.FinishedAt}} {{.State.Pid}}' $c
      docker logs $c`,
    bothClis: true,
  },
  'a name in use': `
    docker create --name $c busybox true >/dev/null
    docker create --name $c busybox true 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"
    docker create --name /$c busybox true 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"`,
  'invalid names': `
    docker create --name '-x' busybox true
    docker create --name 'a b' busybox true
    docker create --name 'x' busybox true
    docker create --name 'a/b' busybox true`,
  'an empty name gets a random one': `
    docker create --name '' --label case=$c busybox true >id
    docker inspect -f '{{.Name}}' $(cat id) | grep -cE '^/[a-z]+_[a-z]+[0-9]?$'`,
  'start it': {
    script: `
      docker create --name $c busybox echo started >/dev/null
      docker start -a $c
      docker start -a $c
      docker start $c`,
    bothClis: true,
  },
  'start with stdin': `
    docker create -i --name $c busybox cat >/dev/null
    echo text | docker start -ai $c`,
  labels: `
    docker create --name $c --label a=1 --label b= --label 'c=two words' --label d busybox >/dev/null
    docker inspect -f '{{json .Config.Labels}}' $c`,
  'an image by id, short id, digest and tag': `
    id=$(docker image inspect -f '{{.Id}}' busybox)
    docker create --name $c $id true >/dev/null && docker inspect -f '{{.Config.Image}} {{.Image}}' $c && docker rm $c >/dev/null
    short=$(echo $id | cut -c 8-19)
    docker create --name $c $short true >/dev/null && docker inspect -f '{{.Config.Image}} {{.Image}}' $c && docker rm $c >/dev/null
    docker create --name $c busybox:latest true >/dev/null && docker inspect -f '{{.Config.Image}} {{.Image}}' $c && docker rm $c >/dev/null`,
});

mainCases('lifecycle: start and stop', [
  'stop ends it by SIGTERM',
  'stop ends it by SIGKILL after the time',
  'stop of a stopped one succeeds',
  '--stop-signal and --stop-timeout',
  'start again keeps the files',
  'start that fails is recorded',
  'restart',
]);
scriptCases('lifecycle: start and stop', {
  'stop ends it by SIGTERM': {
    script: `
      docker run -d --name $c busybox sh -c 'trap "echo term; exit 5" TERM; while :; do sleep 0.1; done' >/dev/null
      sleep 1; docker stop $c
      docker inspect -f ${state} $c
      docker logs $c`,
    bothClis: true,
  },
  'stop ends it by SIGKILL after the time': `
    docker run -d --name $c busybox sh -c 'trap "echo ignored" TERM; while :; do sleep 0.1; done' >/dev/null
    sleep 1; docker stop -t 1 $c
    docker inspect -f ${state} $c
    docker logs $c`,
  'a process 1 without a handler ignores SIGTERM': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker stop -t 1 $c
    docker inspect -f ${state} $c`,
  'stop of a stopped one succeeds': `
    docker run --name $c busybox true
    docker stop $c`,
  'stop of a created one succeeds': `
    docker create --name $c busybox true >/dev/null
    docker stop $c
    docker inspect -f ${state} $c`,
  'stop several, one unknown': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker stop -t 0 $c no-such-container`,
  '--stop-signal and --stop-timeout': `
    docker run -d --name $c --stop-signal USR1 --stop-timeout 3 busybox sh -c 'trap "echo usr1; exit 9" USR1; while :; do sleep 0.1; done' >/dev/null
    docker inspect -f '{{.Config.StopSignal}} {{.Config.StopTimeout}}' $c
    sleep 1; docker stop $c
    docker logs $c
    docker inspect -f '{{.State.ExitCode}}' $c`,
  'the stop signal of the image': `
    docker run -d --name $c --entrypoint sh configured -c 'trap "echo usr1; exit 4" USR1; while :; do sleep 0.1; done' >/dev/null
    sleep 1; docker stop $c >/dev/null
    docker logs $c
    docker inspect -f '{{.Config.StopSignal}} {{.State.ExitCode}}' $c`,
  'start of a running one succeeds': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker start $c`,
  'start again keeps the files': `
    docker run --name $c busybox sh -c 'echo line >>/file; cat /file'
    docker start -a $c
    docker start -a $c
    docker inspect -f ${state} $c`,
  'start of an unknown one': `docker start no-such-container`,
  'start that fails is recorded': `
    docker create --name $c busybox no-such-command >/dev/null
    docker start $c
    docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' $c
    docker inspect -f '{{.State.Error}}' $c`,
  restart: {
    script: `
      docker run -d --name $c busybox sh -c 'echo up; exec sleep 1000' >/dev/null
      wait_for 'test $(docker logs $c | wc -l) = 1'
      docker restart -t 0 $c
      docker inspect -f '{{.State.Status}} {{.RestartCount}}' $c
      wait_for 'test $(docker logs $c | wc -l) = 2'
      docker logs $c`,
    bothClis: true,
  },
  'restart of a stopped one starts it': `
    docker run --name $c busybox echo once
    docker restart -t 0 $c
    wait_for 'test $(docker logs $c | wc -l) = 2'`,
  'restart of a created one starts it': `
    docker create --name $c busybox sleep 1000 >/dev/null
    docker restart -t 0 $c
    docker inspect -f '{{.State.Status}}' $c`,
});

mainCases('lifecycle: kill and wait', [
  'kill is SIGKILL',
  'kill with a signal by name, prefix, number and case',
  'wait gives the exit code',
  'wait ends when it is removed by force',
]);
scriptCases('lifecycle: kill and wait', {
  'kill is SIGKILL': {
    script: `
      docker run -d --name $c busybox sleep 1000 >/dev/null
      docker kill $c
      docker wait $c
      docker inspect -f ${state} $c`,
    bothClis: true,
  },
  'kill with a signal by name, prefix, number and case': `
    docker run -d --name $c busybox sh -c 'for s in USR1 USR2 HUP; do trap "echo $s" $s; done; echo ready; while :; do sleep 0.1; done' >/dev/null
    wait_for 'docker logs $c | grep ready'
    docker kill -s USR1 $c; wait_for 'test $(docker logs $c | wc -l) = 2'
    docker kill -s SIGUSR2 $c; wait_for 'test $(docker logs $c | wc -l) = 3'
    docker kill -s 1 $c; wait_for 'test $(docker logs $c | wc -l) = 4'
    docker kill -s usr1 $c; wait_for 'test $(docker logs $c | wc -l) = 5'
    docker logs $c`,
  'kill with nonsense': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker kill -s NOSUCH $c
    docker kill -s 99 $c
    docker kill -s 0 $c`,
  'kill of a stopped one': `
    docker run --name $c busybox true
    docker kill $c 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"`,
  'kill of an unknown one': `docker kill no-such-container`,
  'wait gives the exit code': {
    script: `
      docker run -d --name $c busybox sh -c 'sleep 0.5; exit 6' >/dev/null
      docker wait $c
      docker wait $c`,
    bothClis: true,
  },
  'wait for several': `
    docker run -d --name $c-1 busybox sh -c 'exit 1' >/dev/null
    docker run -d --name $c-2 busybox sh -c 'exit 2' >/dev/null
    docker wait $c-1 $c-2`,
  'wait for an unknown one': `docker wait no-such-container`,
  'wait ends when it is removed by force': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    (sleep 1; docker rm -f $c >/dev/null) & docker wait $c`,
});

scriptCases('lifecycle: pause', {
  'pause and unpause': `
    docker run -d --name $c busybox sh -c 'while :; do echo tick; sleep 0.1; done' >/dev/null
    docker pause $c
    docker inspect -f ${state} $c
    docker ps --filter name=$c --format '{{.Status}}' | sed 's/Up .* (/Up (/'
    a=$(docker logs $c | wc -l); sleep 0.5; test $a = $(docker logs $c | wc -l) && echo silent
    docker pause $c 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"
    docker exec $c true
    docker unpause $c
    docker inspect -f ${state} $c
    docker unpause $c 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"`,
  'pause of a stopped one': `
    docker run --name $c busybox true
    docker pause $c 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"`,
  'stop of a paused one': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker pause $c >/dev/null
    docker stop -t 1 $c
    docker inspect -f ${state} $c`,
});

mainCases('lifecycle: rename and remove', [
  'rename',
  'rename to a name in use, to its own, to an invalid and an empty one',
  'rm',
  'rm of a running one needs force',
  'rm several',
  'by id, short id and id prefix',
]);
scriptCases('lifecycle: rename and remove', {
  rename: `
    docker create --name $c busybox true >/dev/null
    docker rename $c $c-new
    docker inspect -f '{{.Name}}' $c-new
    docker inspect $c`,
  'rename a running one': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker rename $c $c-new
    docker ps --filter name=$c-new --format '{{.Names}} {{.Image}}'`,
  'rename to a name in use, to its own, to an invalid and an empty one': `
    docker create --name $c-1 busybox true >/dev/null
    docker create --name $c-2 busybox true >/dev/null
    docker rename $c-1 $c-2 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"
    docker rename $c-1 $c-1
    docker rename $c-1 'a b'
    docker rename $c-1 ''`,
  'rename an unknown one': `docker rename no-such-container $c`,
  rm: {
    script: `
      docker run --name $c busybox true
      docker rm $c
      docker rm $c`,
    bothClis: true,
  },
  'rm of a running one needs force': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker rm $c 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"
    docker rm -f $c`,
  'rm of a paused one': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker pause $c >/dev/null
    docker rm $c 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"
    docker rm -f $c`,
  'rm -f of an unknown one': `docker rm -f no-such-container`,
  'rm several': `
    docker create --name $c-1 busybox true >/dev/null
    docker create --name $c-2 busybox true >/dev/null
    docker rm $c-1 no-such-container $c-2`,
  'by id, short id and id prefix': `
    id=$(docker create --name $c busybox true)
    docker inspect -f '{{.Name}}' $id
    docker inspect -f '{{.Name}}' $(echo $id | cut -c 1-12)
    docker inspect -f '{{.Name}}' $(echo $id | cut -c 1-20)
    docker inspect -f '{{.Name}}' /$c`,
  'container prune with a label': {
    script: `
      docker create --name $c-1 --label prune=$c busybox true >/dev/null
      docker run -d --name $c-2 --label prune=$c busybox sleep 1000 >/dev/null
      docker run --name $c-3 --label prune=$c busybox true
      busy_wait docker container prune -f --filter label=prune=$c | grep -v '^[0-9a-f]*$'
      docker ps -a --filter label=prune=$c --format '{{.Names}}'
      busy_wait docker container prune -f --filter label=prune=$c`,
    bothClis: true,
  },
  'container prune with a bad filter': `busy_wait docker container prune -f --filter nonsense=1`,
});

mainCases('lifecycle: restart policy', ['on-failure counts and gives up']);
scriptCases('lifecycle: restart policy', {
  'on-failure counts and gives up': `
    docker run -d --name $c --restart on-failure:2 busybox sh -c 'echo run; exit 3' >/dev/null
    wait_for 'test "$(docker inspect -f "{{.State.Status}} {{.RestartCount}}" $c)" = "exited 2"'
    docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}} {{json .HostConfig.RestartPolicy}}' $c
    docker logs $c`,
  'on-failure leaves a success alone': `
    docker run -d --name $c --restart on-failure busybox true >/dev/null
    docker wait $c
    docker inspect -f '{{.State.Status}} {{.RestartCount}}' $c`,
  'always comes back': `
    docker run -d --name $c --restart always busybox sh -c 'echo run; sleep 0.2' >/dev/null
    wait_for 'test $(docker logs $c | wc -l) -ge 3'
    docker stop -t 0 $c
    docker inspect -f '{{.State.Status}} {{.HostConfig.RestartPolicy.Name}}' $c`,
  'update changes it': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    docker update --restart unless-stopped $c
    docker inspect -f '{{json .HostConfig.RestartPolicy}}' $c`,
});
