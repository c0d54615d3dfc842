// docker logs with each of its flags.

import { mainCases, scriptCases } from '../harness/cases';

const ten = `docker run --name $c busybox sh -c 'for i in 1 2 3 4 5 6 7 8 9 10; do echo line $i; done'`;

mainCases('logs', [
  'all of it, both streams',
  '--tail',
  '--timestamps',
  '--since and --until',
  '--follow ends with the container',
  '--follow from now on',
  'survive restarts of the container',
  'of output with a terminal',
  'with two streams in order',
  'of an unknown one',
  '--log-driver none',
  '--log-driver json-file with limits',
]);
scriptCases('logs', {
  'all of it, both streams': {
    script: `
      docker run --name $c busybox sh -c 'echo out; echo err >&2'
      docker logs $c
      docker logs $c 2>/dev/null
      docker logs $c 2>&1 >/dev/null`,
    bothClis: true,
  },
  '--tail': `
    ${ten} >/dev/null
    docker logs --tail 3 $c
    docker logs --tail 0 $c
    docker logs --tail 99 $c
    docker logs --tail all $c | wc -l
    docker logs --tail -1 $c | wc -l
    docker logs -n 1 $c`,
  '--tail with nonsense is all': `
    ${ten} >/dev/null
    docker logs --tail nonsense $c | wc -l`,
  '--timestamps': {
    script: `
      ${ten} >/dev/null
      docker logs -t --tail 2 $c
      docker logs -t $c | awk '{ if ($1 < last) print "not in order"; last = $1 }'
      docker logs -t --tail 1 $c | grep -cE '^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\\.[0-9]{9}Z line 10$'`,
    bothClis: true,
  },
  '--since and --until': `
    docker run --name $c busybox sh -c 'echo one; sleep 1.5; echo two; sleep 1.5; echo three' >/dev/null
    t2=$(docker logs -t $c | sed -n 2p | cut -d' ' -f1)
    docker logs --since $t2 $c
    docker logs --until $t2 $c
    docker logs --since $t2 --until $t2 $c
    docker logs --since 1h $c
    docker logs --until 1h $c
    docker logs --since 2000-01-01 $c | wc -l
    docker logs --since nonsense $c`,
  '--since in seconds with a fraction': `
    docker run --name $c busybox sh -c 'echo one; sleep 1.2; echo two' >/dev/null
    t2=$(date -d "$(docker logs -t $c | sed -n 2p | cut -d' ' -f1)" +%s.%N)
    docker logs --since $t2 $c`,
  '--details': `
    docker run --name $c --log-opt labels=l --label l=1 busybox echo line
    docker logs --details $c`,
  '--follow ends with the container': {
    script: `
      docker run -d --name $c busybox sh -c 'for i in 1 2 3 4 5; do echo $i; sleep 0.2; done' >/dev/null
      docker logs -f $c`,
    bothClis: true,
  },
  '--follow of an ended one': `
    ${ten} >/dev/null
    docker logs -f --tail 2 $c`,
  '--follow from now on': `
    docker run -d --name $c busybox sh -c 'echo old; while ! test -e /go; do sleep 0.1; done; echo new' >/dev/null
    wait_for 'docker logs $c | grep old'
    docker logs -f --tail 0 $c & sleep 1; docker exec $c touch /go; wait $!`,
  '--follow with --since and --until': `
    docker run -d --name $c busybox sh -c 'while :; do echo x; sleep 0.2; done' >/dev/null
    timeout 20 docker logs -f --until 1s $c | head -n 1
    docker logs -f --since 1h --tail 1 $c | head -n 1`,
  '--follow ends when it is removed': `
    docker run -d --name $c busybox sh -c 'echo up; exec sleep 1000' >/dev/null
    (sleep 1; docker rm -f $c >/dev/null) & timeout 20 docker logs -f $c`,
  'survive restarts of the container': `
    docker run --name $c busybox echo once
    docker start -a $c
    docker logs $c
    docker logs --tail 1 $c`,
  'of a long line': `
    docker run --name $c busybox sh -c 'head -c 50000 /dev/zero | tr "\\0" x; echo; echo end' | md5sum
    docker logs $c | md5sum
    docker logs --tail 1 $c
    docker logs -t --tail 2 $c | wc -l`,
  'of lines without an end': `
    docker run --name $c busybox printf 'no end'
    docker logs $c
    docker start -a $c
    docker logs $c`,
  'of binary output': `
    docker run --name $c busybox sh -c 'printf "\\001\\377\\n\\033[1mbold"' | od -An -tx1
    docker logs $c | od -An -tx1`,
  'of output with a terminal': `
    docker run -t --name $c busybox sh -c 'echo out; echo err >&2'
    docker logs $c | od -c | head`,
  'of 20000 lines': `
    docker run --name $c busybox seq 20000 | md5sum
    docker logs $c | md5sum
    docker logs --tail 5 $c`,
  'with two streams in order': `
    docker run --name $c busybox sh -c 'for i in 1 2 3 4 5; do echo $i; echo $i >&2; sleep 0.05; done' >/dev/null 2>&1
    docker logs -t $c 2>&1 | sort -s -k 1,1 | cut -d' ' -f2 | tr -d '\\n'`,
  'of an unknown one': `docker logs no-such-container`,
  '--log-driver none': `
    docker run --name $c --log-driver none busybox echo shown
    docker logs $c`,
  '--log-driver json-file with limits': `
    docker run --name $c --log-opt max-size=2k --log-opt max-file=2 busybox seq 1000 >/dev/null
    docker logs --tail 1 $c
    test $(docker logs $c | wc -l) -lt 200`,
  'bad log options': `
    docker create --name $c --log-opt nonsense=1 busybox true
    docker create --name $c --log-opt max-size=lots busybox true && docker rm $c
    docker create --name $c --log-opt max-file=-1 busybox true`,
});
