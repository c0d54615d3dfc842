// Events: what each call makes the engine tell, with which attributes, and what filters let through.

import { mainCases, scriptCases } from '../harness/cases';

/** All events of the case's container since `$since`, with every attribute. */
const told = `docker events --since $since --until $(date +%s.%N) --format '{{.Type}} {{.Action}} {{json .Actor.Attributes}}'`;

mainCases('events of containers', [
  'create, start, attach, die, destroy',
  'exec, also detached',
  'stop, kill, restart',
  'a start that fails',
  'remove of one that runs',
  'pause, unpause, commit, export, cp',
]);
scriptCases('events of containers', {
  'create, start, attach, die, destroy': `
    since=$(date +%s.%N)
    docker run --rm --name $c --label a=b busybox sh -c 'exit 7'
    ${told} --filter container=$c --filter type=container`,
  'with a terminal': `
    since=$(date +%s.%N)
    docker run -dt --name $c busybox sleep 1000 >/dev/null
    curl -s --unix-socket $(echo $DOCKER_HOST | sed s,unix://,,) -X POST "http://d/v1.41/containers/$c/resize?h=30&w=100"
    docker rm -f $c >/dev/null
    ${told} --filter container=$c --filter type=container`,
  'exec, also detached': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    since=$(date +%s.%N)
    docker exec $c true; docker exec -d $c sh -c 'exit 4'; docker exec $c nope
    wait_for 'docker events --since $since --until $(date +%s.%N) --filter container=$c --filter event=exec_die | grep exitCode=4'
    ${told} --filter container=$c --filter type=container | sed 's/"execID":"[0-9a-f]*",//' | sort`,
  'top, stats, logs and inspect': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    since=$(date +%s.%N)
    docker top $c >/dev/null; docker stats --no-stream $c >/dev/null; docker logs $c; docker inspect $c >/dev/null; docker port $c
    ${told} --filter container=$c --filter type=container`,
  'rename and update': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    since=$(date +%s.%N)
    docker rename $c $c-new; docker update --memory 64m --memory-swap 64m $c-new >/dev/null
    ${told} --filter container=$c-new --filter type=container`,
  'stop, kill, restart': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    since=$(date +%s.%N)
    docker kill -s WINCH $c >/dev/null
    docker restart -t 0 $c >/dev/null
    docker stop -t 0 $c >/dev/null
    docker start $c >/dev/null; docker kill $c >/dev/null
    ${told} --filter container=$c --filter type=container`,
  'a start that fails': `
    since=$(date +%s.%N)
    docker run --name $c busybox no-such-program
    ${told} --filter container=$c --filter type=container`,
  'a restart policy': `
    since=$(date +%s.%N)
    docker run -d --name $c --restart on-failure:1 busybox sh -c 'exit 3' >/dev/null
    wait_for "docker inspect -f '{{.State.Status}} {{.RestartCount}}' $c | grep 'exited 1'"
    ${told} --filter container=$c --filter type=container`,
  'remove of one that runs': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    since=$(date +%s.%N)
    docker rm -f $c >/dev/null
    ${told} --filter container=$c --filter type=container`,
  'pause, unpause, commit, export, cp': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    since=$(date +%s.%N)
    docker pause $c >/dev/null; docker unpause $c >/dev/null
    docker commit $c $c:one >/dev/null; docker export $c >/dev/null; docker cp $c:/etc/passwd - >/dev/null
    echo x >file; docker cp file $c:/tmp/; docker diff $c >/dev/null
    ${told} --filter container=$c --filter type=container`,
  'detached from, by keys': `
    docker run -dit --name $c busybox sleep 1000 >/dev/null
    since=$(date +%s.%N)
    (sleep 1; printf 'xy') | script -qec "docker attach --detach-keys x,y $c" /dev/null >/dev/null
    ${told} --filter container=$c --filter event=attach --filter event=detach`,
  'an exec detached from': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    since=$(date +%s.%N)
    (sleep 1; printf 'xy') | script -qec "docker exec -it --detach-keys x,y $c sleep 20" /dev/null >/dev/null
    ${told} --filter container=$c --filter event=exec_detach | sed 's/"execID":"[0-9a-f]*"/"execID":"ID"/'`,
  'prune tells of itself': `
    docker create --name $c --label only=$c busybox true >/dev/null
    since=$(date +%s.%N)
    docker container prune -f --filter label=only=$c >/dev/null
    docker volume prune -f --filter label=only=$c >/dev/null
    docker network prune -f --filter label=only=$c >/dev/null
    docker image prune -f --filter label=only=$c >/dev/null
    ${told} --filter event=prune | sort -u`,
});

scriptCases('events of networks, volumes and images', {
  'a network': `
    since=$(date +%s.%N)
    docker network create --label a=b $c-n >/dev/null
    docker create --name $c busybox sleep 1000 >/dev/null
    docker network connect $c-n $c; docker start $c >/dev/null; docker network disconnect $c-n $c; docker network connect $c-n $c
    docker rm -f $c >/dev/null; docker network rm $c-n >/dev/null
    ${told} --filter type=network --filter network=$c-n`,
  'a volume': `
    since=$(date +%s.%N)
    docker volume create --label a=b $c-v >/dev/null
    docker run --rm --name $c -v $c-v:/data:ro busybox true
    docker volume rm $c-v >/dev/null
    ${told} --filter type=volume --filter volume=$c-v`,
  'an anonymous volume goes with its container': `
    since=$(date +%s.%N)
    docker run --rm --name $c -v /data busybox true
    docker events --since $since --until $(date +%s.%N) --filter type=volume --format '{{.Action}} {{index .Actor.Attributes "destination"}} {{index .Actor.Attributes "read/write"}}' | sort | uniq | head -n 4`,
  'the default network': `
    since=$(date +%s.%N)
    id=$(docker create --name $c busybox true); docker start -a $c; docker rm $c >/dev/null
    docker events --since $since --until $(date +%s.%N) --filter type=network --format '{{json .Actor.Attributes}} {{.Action}}' | grep $id | sed s/$id/ID/`,
  'the host’s network and none': `
    since=$(date +%s.%N)
    for network in host none; do id=$(docker create --name $c --network $network busybox true); docker start -a $c; docker rm $c >/dev/null; echo $id >>ids; done
    docker create --name $c --network none busybox none-such >/dev/null; docker inspect -f '{{.Id}}' $c >>ids; docker start $c 2>/dev/null; docker rm $c >/dev/null
    docker events --since $since --until $(date +%s.%N) --filter type=network --format '{{json .Actor.Attributes}} {{.Action}}' | grep -Ff ids | sed 's/"container":"[^"]*"/ID/'`,
  'save, load, push and pull': `
    docker tag busybox 127.0.0.1:5000/$c:one
    since=$(date +%s.%N)
    docker push -q 127.0.0.1:5000/$c:one >/dev/null
    docker save -o saved.tar 127.0.0.1:5000/$c:one; docker rmi 127.0.0.1:5000/$c:one >/dev/null; docker load -q -i saved.tar >/dev/null
    docker rmi 127.0.0.1:5000/$c:one >/dev/null; docker pull -q 127.0.0.1:5000/$c:one >/dev/null
    ${told} --filter type=image --filter event=push --filter event=pull | grep $c
    docker events --since $since --until $(date +%s.%N) --filter event=save --filter event=load --format '{{.Type}} {{.Action}}' | sort -u`,
  'tag, untag, delete, import, load': `
    since=$(date +%s.%N)
    tar -c -C /etc hostname | docker import --change 'LABEL a=b' - $c:imported >/dev/null
    docker tag $c:imported $c:two; docker rmi $c:two >/dev/null; docker rmi $c:imported >/dev/null
    ${told} --filter type=image | grep $c`,
});

scriptCases('filters of events', {
  'types, names, ids': `
    since=$(date +%s.%N)
    id=$(docker run -d --name $c --label one=$c --label two busybox true); docker wait $c >/dev/null
    until=$(date +%s.%N); show() { docker events --since $since --until $until --format '{{.Action}}' "$@"; }
    show --filter container=$id --filter type=container --filter event=start
    show --filter container=$(echo $id | cut -c1-12) --filter event=create
    show --filter container=$c --filter event=start --filter event=die
    show --filter type=container --filter type=network --filter label=one=$c --filter event=create
    show --filter label=one=$c --filter label=two --filter event=die
    show --filter label=one=other --filter container=$c
    show --filter scope=local --filter container=$c --filter event=create
    show --filter scope=swarm --filter container=$c
    show --filter type=volume --filter type=image --filter type=daemon --filter container=$c
    show --filter container=$c --filter container=$id --filter event=die
    show --filter container=no-such-container; show --filter network=no-such; show --filter volume=no-such; show --filter plugin=no-such --filter container=$c
    show --filter daemon=x --filter container=$c; show --filter image=busybox:latest --filter container=$c --filter event=die`,
  'since and until in every form': `
    before=$(date +%s)
    docker run --name $c busybox true
    after=$(($(date +%s) + 1)); only="--filter container=$c --filter event=die --format {{.Action}}"
    docker events --since $before --until $after $only
    docker events --since $(date -u -d @$before +%Y-%m-%dT%H:%M:%SZ) --until $(date -u -d @$after +%Y-%m-%dT%H:%M:%SZ) $only
    docker events --since 10m --until 0s $only
    docker events --since 1h --until 59m $only
    docker events --since 20 --until 10 $only`,
  'until ends a stream that waits': `
    timeout 20 docker events --until $(($(date +%s) + 3)) --filter container=$c --filter event=create --format '{{.Action}}' & sleep 1; docker create --name $c busybox >/dev/null; wait $!`,
});
