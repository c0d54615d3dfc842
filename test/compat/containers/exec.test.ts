// docker exec, top, attach: more processes and more clients on a running container.

import { mainCases, scriptCases } from '../harness/cases';

const up = `docker run -d --name $c busybox sleep 1000 >/dev/null`;

mainCases('exec', [
  'exit code and streams',
  'stdin',
  'environment, user and directory',
  'a command that cannot run',
  'shares the namespaces of the container',
  'detached',
  'into a stopped, a created and an unknown one',
  'ends when the container does',
  'many at once',
]);
scriptCases('exec', {
  'exit code and streams': {
    script: `
      ${up}
      docker exec $c sh -c 'echo out; echo err >&2; exit 4'
      docker exec $c true`,
    bothClis: true,
  },
  stdin: {
    script: `
      ${up}
      echo hello | docker exec -i $c cat
      echo hello | docker exec $c wc -c
      seq 100000 | docker exec -i $c md5sum`,
    bothClis: true,
  },
  'environment, user and directory': `
    docker run -d --name $c -e A=1 -e B=2 -w /tmp --hostname h busybox sleep 1000 >/dev/null
    docker exec -e B=3 -e C= $c sh -c 'echo $A $B [$C] $HOME $HOSTNAME; pwd'
    docker exec -u user -w /usr $c sh -c 'id; pwd; echo $HOME'
    docker exec -u 5:6 $c sh -c 'id -u; id -g'
    docker exec -w /no/such $c true
    docker exec -u nosuchuser $c true`,
  'the environment of the image': `
    docker run -d --name $c --entrypoint sleep configured 60 >/dev/null
    docker exec $c sh -c 'id -un; pwd; echo $GREETING'`,
  'a command that cannot run': `
    ${up}
    docker exec $c no-such-command
    docker exec $c /etc
    docker exec $c /etc/passwd`,
  'shares the namespaces of the container': `
    ${up}
    docker exec $c sh -c 'ps -o pid,comm | grep sleep; for n in mnt pid uts ipc net; do test $(readlink /proc/self/ns/$n) = $(readlink /proc/1/ns/$n) || echo $n; done'`,
  'has the capabilities of the container': `
    docker run -d --name $c --cap-drop ALL --cap-add CHOWN busybox sleep 1000 >/dev/null
    docker exec $c grep ^Cap /proc/self/status
    docker exec -u user $c grep ^Cap /proc/self/status`,
  detached: `
    ${up}
    docker exec -d $c sh -c 'sleep 0.2; echo done >/tmp/f'
    wait_for 'docker exec $c cat /tmp/f'
    docker exec $c cat /tmp/f`,
  'into a stopped, a created and an unknown one': `
    docker create --name $c busybox true >/dev/null
    docker exec $c true 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"
    docker start -a $c
    docker exec $c true 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"
    docker exec no-such-container true`,
  'killed by a signal': `
    ${up}
    docker exec $c sh -c 'kill -9 $$'`,
  'ends when the container does': `
    ${up}
    docker exec $c sleep 50 & wait_for "docker top $c | grep 'sleep 50'"; docker kill $c >/dev/null; wait $!`,
  'large output': `
    ${up}
    docker exec $c seq 200000 | md5sum`,
  'many at once': `
    ${up}
    for i in 1 2 3 4 5 6; do docker exec $c echo $i & done | sort`,
  '--privileged has all capabilities': `
    ${up}
    docker exec $c grep CapEff /proc/self/status`,
  'its processes are seen by top': {
    script: `
      ${up}
      docker top $c | awk '{ print $1, $8, $9 }'
      docker top $c -o pid,comm | awk '{ print $2 }'
      docker top $c aux | awk '{ print $1, $11, $12 }'
      docker top $c --nonsense 2>&1 | grep -c .`,
    bothClis: true,
  },
  'top with other arguments, and what ps says of them': `
    ${up}
    docker top $c -eo pid,comm | awk '{ print $2 }'
    docker top $c -C sleep -o pid,args | awk '{ print $2, $3 }'
    docker top $c -ef -o pid,cmd
    docker top $c -o comm
    docker top $c -o pid=X
    docker top $c -o nosuch
    docker top $c -p 1 | head -n 1 | awk '{ print $1 }'
    docker top $c -ef --forest | awk '{ print $1 }'
    docker top $c --no-headers`,
  'top of a stopped and an unknown one': `
    docker create --name $c busybox true >/dev/null
    docker top $c 2>&1 | sed "s/[0-9a-f]\\{64\\}/<container>/"
    docker top no-such-container`,
  'leaves its ids in the container': `
    ${up}
    docker exec -d $c sleep 30
    docker inspect -f '{{len .ExecIDs}}' $c`,
});

mainCases('attach', ['sees what comes, and the exit code', 'writes to stdin', 'passes signals on']);
scriptCases('attach', {
  'sees what comes, and the exit code': {
    script: `
      docker run -d --name $c busybox sh -c 'while ! test -e /go; do echo tick; sleep 0.1; done; echo out; echo err >&2; exit 8' >/dev/null
      docker attach $c >out 2>err & wait_for grep tick out; docker exec $c touch /go; wait $!; echo $?
      grep -v tick out; cat err`,
    bothClis: true,
  },
  'writes to stdin': `
    docker run -di --name $c busybox sh -c 'read line; echo got $line' >/dev/null
    echo text | docker attach $c >/dev/null
    docker logs $c`,
  'a client whose stdin ends does not end it for the process': `
    docker run -di --name $c busybox sh -c 'cat; echo end' >/dev/null
    attach() { (echo $1 | docker attach --sig-proxy=false $c >/dev/null 2>&1 & echo $! >pid); wait_for "docker logs $c | grep $1"; kill -KILL $(cat pid); }
    attach one
    attach two
    docker inspect -f '{{.State.Running}} {{.Config.StdinOnce}}' $c
    docker logs $c`,
  'two at once': `
    docker run -d --name $c busybox sh -c 'while ! test -e /go; do echo tick; sleep 0.1; done; seq 3' >/dev/null
    docker attach $c >one & docker attach $c >two &
    wait_for 'grep tick one && grep tick two'; docker exec $c touch /go; wait; grep -hv tick one two`,
  'without stdin': `
    docker run -di --name $c busybox sh -c 'sleep 2; echo end' >/dev/null
    echo text | docker attach --no-stdin $c`,
  'passes signals on': `
    docker run -d --name $c busybox sh -c 'trap "echo term; exit 3" TERM; while :; do echo tick; sleep 0.1; done' >/dev/null
    docker attach $c >out & wait_for grep tick out; kill -TERM $!; wait $!; echo $?; grep -v tick out`,
  'without passing signals': `
    docker run -d --name $c busybox sh -c 'trap "echo term; exit 3" TERM; while :; do sleep 0.1; done' >/dev/null
    (timeout -k 5 -s TERM 1 docker attach --sig-proxy=false $c; echo $?) 2>/dev/null
    docker inspect -f '{{.State.Running}}' $c`,
  'to a stopped, a paused and an unknown one': `
    docker run --name $c busybox true
    docker attach $c
    docker run -d --name $c-2 busybox sleep 1000 >/dev/null && docker pause $c-2 >/dev/null
    docker attach $c-2
    docker attach no-such-container`,
});
