// Containers that share namespaces with another one: --network, --pid and --ipc container:X.

import { mainCases, scriptCases } from '../harness/cases';

const names = `docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}'`;

mainCases('shared namespaces: network', [
  'localhost, hostname and files are one',
  'the one joined stops, starts and goes',
  'options that contradict it',
]);
scriptCases('shared namespaces: network', {
  'localhost, hostname and files are one': `
    docker run -d --name $c-x --hostname web busybox httpd -f -p 8080 -h /etc
    docker run --rm --network container:$c-x busybox sh -c 'wget -qO- http://127.0.0.1:8080/passwd | head -n 1; hostname'
    test "$(docker exec $c-x cat /etc/hosts)" = "$(docker run --rm --network container:$c-x busybox cat /etc/hosts)"
    docker run -d --name $c-y --network container:$c-x busybox sleep 1000
    docker exec $c-x sh -c 'echo 10.1.2.3 added >>/etc/hosts'; docker exec $c-y tail -n 1 /etc/hosts
    docker inspect -f '{{json .NetworkSettings.Networks}} {{json .NetworkSettings.Ports}} {{.Config.Hostname}}' $c-y
    docker network connect bridge $c-y
    docker network disconnect bridge $c-y`,
  'the one joined stops, starts and goes': `
    docker run -d --name $c-x busybox sleep 1000
    docker run -d --name $c-y --network container:$c-x busybox sleep 1000
    docker kill $c-x; wait_for 'docker inspect -f "{{.State.Status}}" $c-x | grep exited'
    docker exec $c-y ls /sys/class/net
    docker start $c-x
    docker exec $c-y ls /sys/class/net
    docker restart -t 0 $c-y
    docker exec $c-y ls /sys/class/net
    docker rm -f $c-x
    docker restart -t 0 $c-y
    ${names} $c-y`,
  'one that does not run, is missing, or is itself': `
    docker create --name $c-x busybox sleep 1000
    docker create --name $c-y --network container:$c-x busybox sleep 1000
    docker start $c-y
    ${names} $c-y
    docker run --rm --network container:$c-none busybox true
    docker run --name $c-z --network container:$c-z busybox true`,
  'a paused one may be joined': `
    docker run -d --name $c-x busybox sleep 1000
    docker pause $c-x
    docker run --rm --network container:$c-x busybox echo joined
    docker inspect -f '{{.State.Status}}' $c-x
    docker unpause $c-x`,
  'options that contradict it': `
    docker create --name $c-x busybox sleep 1000
    docker create --network container:$c-x --hostname a busybox
    docker create --network container:$c-x --link $c-x busybox
    docker create --network container:$c-x --dns 192.0.2.1 busybox
    docker create --network container:$c-x --add-host a:192.0.2.1 busybox
    docker create --network container:$c-x -p 80 busybox
    docker create --network container:$c-x -P busybox
    docker create --network container:$c-x --expose 80 busybox
    docker create --network container: busybox
    docker create --uts host --hostname a busybox
    docker create --network host --link $c-x busybox`,
});

// Caisson warns that the network is shared too, on stderr.
scriptCases('shared namespaces: processes and IPC', {
  'a PID namespace, and its end': `
    docker run -d --name $c-x busybox sleep 61
    docker run -d --name $c-y --pid container:$c-x busybox sleep 62 2>/dev/null
    docker exec $c-y ps -o args | grep sleep
    docker kill $c-x; wait_for 'docker inspect -f "{{.State.Status}}" $c-y | grep exited'
    docker inspect -f '{{.State.ExitCode}}' $c-y`,
  'shared memory, of the size that its owner gave it': `
    docker run -d --name $c-x --ipc shareable --shm-size 10m busybox sh -c 'echo shared >/dev/shm/file; sleep 1000'
    docker run --rm --ipc container:$c-x --network container:$c-x busybox sh -c 'cat /dev/shm/file; df -m /dev/shm | tail -n 1'
    docker run -d --name $c-y busybox sleep 1000
    docker run --rm --ipc container:$c-y --network container:$c-y busybox true`,
  'ones that do not run': `
    docker create --name $c-x busybox sleep 1000
    docker run --rm --pid container:$c-x --network none busybox true
    docker run --rm --ipc container:$c-x --network none busybox true
    docker run --rm --pid container:$c-none --network none busybox true
    docker run --rm --network none --ipc container: busybox true`,
});
