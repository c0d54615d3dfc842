// docker ps and inspect: what is listed, in which order, with which words, and every field of a container.

import { mainCases, scriptCases } from '../harness/cases';

mainCases('list', [
  'only running ones, all with -a, newest first',
  'the table',
  'as JSON',
  'by status',
  'by label, key alone and both',
  'by name as a pattern',
  'by ancestor',
  'before and since',
  'a filter that does not exist',
]);
scriptCases('list', {
  'by ports, of the host and its own': `
    docker run -d --name $c -p 127.0.0.1:41877:80 --expose 7 busybox sleep 600
    for port in 41877 41870-41880/tcp 41877/udp 41877/TCP 80 7; do \
      docker ps --filter name=$c --filter publish=$port --format "publish $port {{.Names}}"; \
      docker ps --filter name=$c --filter expose=$port --format "expose $port {{.Names}}"; done
    docker ps --filter name=$c --filter publish=1 --filter expose=7 --format '{{.Names}}'
    docker kill $c
    docker ps -a --filter name=$c --filter expose=7 --format '{{.Names}}'`,
  'by volume: a name, where it is mounted, a path of the host': `
    docker volume create $c-v >/dev/null
    docker create --name $c-1 -v $c-v:/one busybox >/dev/null
    docker create --name $c-2 -v /usr:/two:ro busybox >/dev/null
    for v in $c-v /one /usr /two /us usr $c; do docker ps -a --filter name=$c --filter volume=$v --format "$v {{.Names}}"; done`,
  'only running ones, all with -a, newest first': {
    script: `
      docker create --name $c-1 busybox true >/dev/null
      docker run -d --name $c-2 busybox sleep 1000 >/dev/null
      docker run --name $c-3 busybox sh -c 'exit 3'
      docker ps --filter name=$c --format '{{.Names}}'
      docker ps -a --filter name=$c --format '{{.Names}} {{.Image}} {{.Command}} {{.State}} {{.Ports}}|{{.Mounts}}|{{.LocalVolumes}}'
      docker ps -a --filter name=$c --format '{{.Names}} {{.Status}}'`,
    bothClis: true,
  },
  'the table': {
    script: `
      docker run -d --name $c busybox sleep 1000 >/dev/null
      docker ps --filter name=$c
      docker ps --filter name=$c --no-trunc
      docker ps --filter name=no-such-name-$c
      docker ps -q --filter name=$c`,
    bothClis: true,
  },
  'as JSON': {
    script: `
      docker create --name $c --label a=1 busybox sh -c 'echo "quoted"; sleep 1' >/dev/null
      docker ps -a --filter name=$c --format '{{json .}}'`,
    bothClis: true,
  },
  'last n': `
    docker create --name $c-1 busybox true >/dev/null
    docker create --name $c-2 busybox true >/dev/null
    docker ps -n 50 --filter name=$c --format '{{.Names}}'`,
  'by status': `
    docker create --name $c-1 busybox true >/dev/null
    docker run -d --name $c-2 busybox sleep 1000 >/dev/null
    docker run --name $c-3 busybox true
    docker run -d --name $c-4 busybox sleep 1000 >/dev/null && docker pause $c-4 >/dev/null
    docker ps --filter name=$c --filter status=created --format '{{.Names}}'
    docker ps --filter name=$c --filter status=running --format '{{.Names}}'
    docker ps --filter name=$c --filter status=exited --format '{{.Names}}'
    docker ps --filter name=$c --filter status=paused --format '{{.Names}} {{.State}}'
    docker ps --filter name=$c --filter status=exited --filter status=created --format '{{.Names}}'
    docker ps --filter status=nonsense`,
  'by label, key alone and both': `
    docker create --name $c-1 --label l=$c --label only busybox true >/dev/null
    docker create --name $c-2 --label l=$c busybox true >/dev/null
    docker ps -a --filter label=l=$c --format '{{.Names}} {{.Label "only"}}'
    docker ps -a --filter label=l=$c --filter label=only --format '{{.Names}} {{.Label "l"}}'
    docker ps -a --filter label=l=other-$c --format '{{.Names}}'`,
  'by name as a pattern': `
    docker create --name $c-a1 busybox true >/dev/null
    docker create --name $c-b2 busybox true >/dev/null
    docker ps -a --filter "name=$c-[ab]1" --format '{{.Names}}'
    docker ps -a --filter "name=^/$c-b2$" --format '{{.Names}}'
    docker ps -a --filter "name=^$c-b2$" --format '{{.Names}}'
    docker ps -a --filter name=$c-a --filter name=$c-b --format '{{.Names}}'`,
  'by id': `
    id=$(docker create --name $c busybox true)
    docker ps -a --filter id=$id --format '{{.Names}}'
    docker ps -a --filter id=$(echo $id | cut -c 1-12) --format '{{.Names}}'`,
  'by exit code': `
    docker run --name $c-1 busybox sh -c 'exit 3'
    docker run --name $c-2 busybox true
    docker ps -a --filter name=$c --filter exited=3 --format '{{.Names}}'
    docker ps -a --filter name=$c --filter exited=0 --filter exited=3 --format '{{.Names}}'
    docker ps -a --filter exited=x`,
  'by ancestor': `
    docker create --name $c-1 busybox true >/dev/null
    docker create --name $c-2 configured true >/dev/null
    docker ps -a --filter name=$c --filter ancestor=busybox --format '{{.Names}}'
    docker ps -a --filter name=$c --filter ancestor=configured:latest --format '{{.Names}}'
    docker ps -a --filter name=$c --filter ancestor=$(docker image inspect -f '{{.Id}}' configured) --format '{{.Names}}'
    docker ps -a --filter name=$c --filter ancestor=no-such-image --format '{{.Names}}'`,
  'before and since': `
    docker create --name $c-1 busybox true >/dev/null
    docker create --name $c-2 busybox true >/dev/null
    docker create --name $c-3 busybox true >/dev/null
    docker ps -a --filter name=$c --filter before=$c-2 --format '{{.Names}}'
    docker ps -a --filter name=$c --filter since=$c-2 --format '{{.Names}}'
    docker ps -a --filter since=no-such-container`,
  'a filter that does not exist': `docker ps --filter nonsense=1`,
  'status of an exit long words': `
    docker run --name $c busybox sh -c 'exit 9'
    docker ps -a --filter name=$c --format '{{.Status}}'`,
  'an image that lost its name': `
    docker tag busybox $c:one
    docker create --name $c $c:one true >/dev/null
    docker rmi $c:one
    docker ps -a --filter name=$c --format '{{.Image}}'
    docker inspect -f '{{.Config.Image}} {{.Image}}' $c`,
});

mainCases('inspect', [
  'a created container, whole',
  'a running container, whole',
  'an ended container, whole',
  'with many options',
  'what the image says',
  'size',
  'several, one unknown',
]);
scriptCases('inspect', {
  'a created container, whole': {
    script: `
      docker create --name $c busybox sh -c 'exit 1' >/dev/null
      docker inspect $c`,
    bothClis: true,
  },
  'a running container, whole': {
    script: `
      docker run -d --name $c busybox sleep 1000 >/dev/null
      docker inspect $c`,
    bothClis: true,
  },
  'an ended container, whole': `
    docker run --name $c busybox sh -c 'exit 3'
    docker inspect $c`,
  'with many options': {
    script: `
      docker create --name $c -it -e A=1 -u user:audio -w /tmp --hostname h --domainname d --label l=1 \\
        --entrypoint /bin/sh --cap-add SYS_TIME --cap-drop MKNOD --memory 64m --cpus 0.5 --cpu-shares 512 --pids-limit 50 \\
        --ulimit nofile=10:20 --sysctl net.ipv4.ip_forward=1 --read-only --tmpfs /t:size=1m --shm-size 10m --init \\
        --stop-signal INT --stop-timeout 5 --restart on-failure:3 --dns 1.1.1.1 --dns-search s --add-host h:1.2.3.4 \\
        --security-opt no-new-privileges --group-add 5 --oom-score-adj 100 --ipc private --network none \\
        --log-opt max-size=1m --no-healthcheck --expose 99 busybox -c 'echo hi' >/dev/null
      docker inspect $c`,
    bothClis: true,
  },
  'what the image says': `
    docker create --name $c configured >/dev/null
    docker inspect -f '{{json .Config}}' $c
    docker inspect -f '{{.Path}} {{json .Args}}' $c`,
  size: `
    docker create --name $c busybox sh -c 'mkdir /d; echo 1 >/d/a; ln /d/a /d/b; ln -s a /d/link; head -c 100000 /dev/zero >/d/zero; truncate -s 1g /d/hole; rm -r /home; echo >>/etc/passwd; mkfifo /d/p; head -c 9 /dev/zero >/d/gone; rm /d/gone' >/dev/null
    size() { docker inspect -s -f '{{.SizeRw}} {{.SizeRootFs}}' $c; docker ps -as --filter name=$c --format '{{.Size}}'; }
    size
    docker start -a $c; size
    docker system df -v --format '{{range .Containers}}{{println .Names .Size}}{{end}}' | grep $c`,
  'size while it runs and while it is paused': `
    docker run -d --name $c -v /vol busybox sh -c 'head -c 1000000 /dev/zero >/f; echo 1 >/g; echo 12345 >/vol/not; echo 123 >/tmp/one; ln /tmp/one /two; touch /ready; sleep 1000' >/dev/null
    until docker exec $c test -e /ready; do :; done
    size() { docker inspect -s -f '{{.SizeRw}} {{.SizeRootFs}}' $c; }
    size
    docker pause $c >/dev/null
    size
    docker ps -s --filter name=$c --format '{{.Size}}'
    docker kill $c >/dev/null; docker wait $c >/dev/null; size`,
  'several, one unknown': `
    docker create --name $c busybox true >/dev/null
    docker inspect -f '{{.Name}}' $c no-such-container busybox`,
  'of a type': `
    docker create --name $c busybox true >/dev/null
    docker container inspect -f '{{.Name}}' $c
    docker container inspect busybox
    docker image inspect $c`,
  'the process id is set while it runs': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    test $(docker inspect -f '{{.State.Pid}}' $c) -gt 1
    docker kill $c >/dev/null && docker wait $c
    docker inspect -f '{{.State.Pid}}' $c`,
  // dockerd notes the start of a process that ends at once after its end
  'times are in order': `
    docker run --name $c busybox sleep 1
    docker inspect -f '{{.Created}} {{.State.StartedAt}} {{.State.FinishedAt}}' $c | tr ' ' '\\n' | while read t; do date -d $t +%s%N; done | sort -nuc && echo ordered`,
});
