// Stats: not the numbers, which are each moment's, but what they say of containers that are busy with one thing each.

import { scriptCases } from '../harness/cases';

scriptCases('stats', {
  'a busy CPU, memory, processes, a network': `
    docker run -d --name $c-cpu --network none busybox sh -c 'while :; do :; done' >/dev/null
    docker run -d --name $c-mem -m 64m --pids-limit 20 busybox sh -c 'sleep 600 & head -c 30000000 /dev/zero >/dev/shm/x; sleep 600' >/dev/null
    docker run -d --name $c-net busybox sh -c 'ping -c 3 -s 50000 -i 0.2 $(ip route | sed -n "s/default via \\([^ ]*\\).*/\\1/p"); sleep 600' >/dev/null
    look() { docker stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemPerc}} {{.PIDs}} {{.NetIO}}' $c-cpu $c-mem $c-net >seen; }
    busy() { look; grep -E "$c-cpu ([5-9]|1?[0-9][0-9])\\." seen && grep -E "$c-mem [0-9]\\.[0-9]*% [4-7][0-9]\\.[0-9]*% 2 " seen && grep -E "$c-net .* 1[5-9][0-9]kB / 1[5-9][0-9]kB" seen; }
    wait_for busy
    grep -o "$c-cpu .*" seen | awk '{ print $4, $5, $6, $7 }'
    docker stats --no-stream --format '{{.MemUsage}}' $c-mem | grep -oE ' / .*'`,
  // its counters and the host's are of one moment; a period of the limit more or less in a second or two
  'a busy CPU is never seen to take more than --cpus': `
    docker run -d --name $c --cpus 1 --network none busybox sh -c 'while :; do :; done & while :; do :; done' >/dev/null
    for i in 1 2 3; do docker stats --no-stream --format '{{.CPUPerc}}' $c; done | awk '$1 + 0 > 120 { print "took", $1 }'`,
  'each network has counters of its own, also one that comes or goes while it runs': `
    docker network create $c-a >/dev/null; docker network create $c-b >/dev/null
    docker run -d --name $c-peer --network $c-a busybox nc -ll -p 5000 -e cat >/dev/null
    docker run -d --name $c --network $c-a busybox sleep 600 >/dev/null
    counters() { curl -s --unix-socket "\${DOCKER_HOST#unix://}" "http://d/v1.41/containers/$1/stats?stream=0" | grep -o '"networks".*' | grep -oE '"(eth[0-9]|[a-z_]*)":([{]|[0-9]{6,})' | sed -E 's/[0-9]{6,}/many/'; }
    docker exec $c sh -c 'head -c 400000 /dev/zero | timeout 60 nc $0-peer 5000 | head -c 400000 | wc -c' $c
    counters $c
    docker network connect $c-b $c
    counters $c
    docker network disconnect $c-a $c
    counters $c`,
  'a stopped one, and an unknown one': `
    docker create --name $c busybox true >/dev/null
    docker stats --no-stream --format '{{.Name}} {{.CPUPerc}} {{.MemUsage}} {{.NetIO}} {{.BlockIO}} {{.PIDs}}' $c
    docker stats --no-stream no-such-container`,
});
