// docker run: what the process sees, and what the client gets back.

import { mainCases, scriptCases } from '../harness/cases';

mainCases('run: result', [
  'exit code of the process',
  'stdout and stderr stay apart',
  'a command that does not exist: 127',
  'an option that does not exist: 125',
  'an image that does not exist: 125',
  'stdin reaches the process and ends',
  'a large stdin comes through whole',
  'a large stdout comes through whole',
  'detached prints the id',
  '--rm removes it',
]);
scriptCases('run: result', {
  'exit code of the process': { script: `docker run --rm busybox sh -c 'exit 7'`, bothClis: true },
  'success is 0': `docker run --rm busybox true`,
  'stdout and stderr stay apart': {
    script: `docker run --rm busybox sh -c 'echo out; echo err >&2'`,
    bothClis: true,
  },
  'killed by a signal gives 128 + n': `
    docker run --name $c busybox sh -c 'sleep 1000' & wait_for 'docker inspect -f "{{.State.Running}}" $c | grep true'; docker kill -s TERM $c >/dev/null; docker kill -s ABRT $c >/dev/null; docker kill -s KILL $c >/dev/null; wait $!
    docker inspect -f '{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}} [{{.State.Error}}]' $c`,
  'a child killed by a signal, as the shell says it': `docker run --rm busybox sh -c '(kill -15 $(sh -c "echo \\$PPID")); echo $?'`,
  'a command that does not exist: 127': {
    script: `
      docker run --name $c busybox no-such-command
      docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' $c`,
    bothClis: true,
  },
  'a path that does not exist: 127': `docker run --rm busybox /no/such/command`,
  'a directory as command: 126': `
    docker run --name $c busybox /etc
    docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' $c`,
  'a file that is not executable: 126': `docker run --rm busybox /etc/passwd`,
  'an option that does not exist: 125': `docker run --no-such-option busybox true`,
  'an image that does not exist: 125': `docker run --rm 127.0.0.1:5000/no-such-image:tag true`,
  'an image reference that is invalid: 125': `docker run --rm UPPER/case true`,
  'no command and an image without one': `
    docker create --name $c --entrypoint '' busybox ''`,
  'stdin reaches the process and ends': {
    script: `echo hello | docker run --rm -i busybox cat`,
    bothClis: true,
  },
  'stdin closes without -i': `echo hello | docker run --rm busybox wc -c`,
  'a large stdin comes through whole': `seq 200000 | docker run --rm -i busybox md5sum`,
  'a large stdout comes through whole': `docker run --rm busybox seq 100000 | md5sum`,
  'binary output is not changed': `docker run --rm busybox sh -c 'for i in 0 1 2 3; do printf "\\000\\377\\r\\012\\200"; done' | od -An -tx1`,
  'output without a last newline': `docker run --rm busybox printf 'no newline'`,
  'detached prints the id': `
    docker run -d --name $c busybox sleep 1000
    docker inspect -f '{{.State.Status}} {{.State.Running}}' $c`,
  'attach only stdout': `docker run --rm -a stdout busybox sh -c 'echo out; echo err >&2'`,
  'attach only stderr': `docker run --rm -a stderr busybox sh -c 'echo out; echo err >&2'`,
  '--cidfile': `
    docker run --cidfile id --name $c busybox true
    test "$(cat id)" = "$(docker inspect -f '{{.Id}}' $c)"
    docker run --cidfile id busybox true`,
  '--rm removes it': `
    docker run --rm --name $c busybox true
    wait_for '! docker inspect $c'
    docker inspect $c`,
  '-d --rm removes it after its end': `
    docker run -d --rm --name $c busybox true
    wait_for '! docker inspect $c'`,
});

mainCases('run: process', [
  'environment as given, empty and with spaces',
  'the usual environment',
  'a working directory that does not exist is made',
  'process 1 is the command',
  '--init puts a reaper at 1',
  '--entrypoint',
  'entrypoint and command of the image',
  'user, workdir and environment of the image',
  'signals are at their defaults',
]);
scriptCases('run: process', {
  'environment as given, empty and with spaces': `docker run --rm -e A=1 -e B= -e 'C=two words' -e 'D=a=b' busybox sh -c 'env | sort | grep ^[A-D]='`,
  'the usual environment': `docker run --rm --hostname box busybox sh -c 'env | sort'`,
  'HOME follows the user': `docker run --rm -u user busybox sh -c 'echo $HOME'`,
  '--env-file, and a variable taken from the client': `
    printf 'A=1\\n# comment\\nB=two words\\nFROM_CLIENT\\n' >file
    FROM_CLIENT=yes docker run --rm --env-file file -e A=2 busybox sh -c 'env | sort | grep -E "^(A|B|FROM)"'`,
  'working directory': `docker run --rm -w /usr/bin busybox pwd`,
  'a working directory that does not exist is made': `docker run --rm -w /no/such/dir busybox sh -c 'pwd; stat -c "%a %u %g" .'`,
  'a relative working directory is refused': `docker run --rm -w relative busybox pwd`,
  'hostname and domain name': `docker run --rm --hostname web --domainname example.org busybox sh -c 'hostname; hostname -f; cat /proc/sys/kernel/domainname'`,
  'hostname is the short id by default': `
    docker run -d --name $c busybox sleep 1000
    test "$(docker exec $c hostname)" = "$(docker inspect -f '{{slice .Id 0 12}}' $c)"
    docker exec $c sh -c 'test "$(hostname)" = "$(cat /etc/hostname)"'`,
  'process 1 is the command': `docker run --rm busybox sh -c 'cat /proc/1/comm; cat /proc/1/cmdline | tr "\\0" " "; echo; echo $$'`,
  '--init puts a reaper at 1': `docker run --rm --init busybox sh -c 'test $$ != 1 && echo not 1; (true & ) ; sleep 0.3; ps -o pid,stat,comm | grep -c Z; true'`,
  '--init forwards signals': `
    docker run -d --init --name $c busybox sh -c 'trap "echo got; exit 3" TERM; while :; do sleep 0.1; done'
    sleep 1; docker stop -t 20 $c
    docker logs $c
    docker inspect -f '{{.State.ExitCode}}' $c`,
  '--entrypoint': `docker run --rm --entrypoint echo busybox a b`,
  '--entrypoint clears the image command': `docker run --rm --entrypoint /bin/echo configured`,
  'entrypoint and command of the image': `
    docker run --rm configured
    docker run --rm configured given "two words"`,
  'user, workdir and environment of the image': `docker run --rm --entrypoint sh configured -c 'id; pwd; echo "$GREETING|$EMPTY|$QUOTED"'`,
  'a zombie of process 1 stays': `docker run --rm busybox sh -c 'sh -c "sleep 0.1 & exec true"; exec sleep 0.5'`,
  'no new namespaces are missing': `docker run --rm busybox sh -c 'for n in mnt pid uts ipc net cgroup; do readlink /proc/self/ns/$n | sed "s/[0-9]\\+/n/"; done'`,
  'signals are at their defaults': `docker run --rm busybox sh -c 'grep -E "Sig(Blk|Ign|Cgt)" /proc/self/status'`,
  'standard descriptors only': `docker run --rm busybox sh -c 'ls /proc/self/fd | head -n 3'`,
  umask: `docker run --rm busybox sh -c umask`,
  '--oom-score-adj': `docker run --rm --oom-score-adj 500 busybox cat /proc/self/oom_score_adj`,
});

mainCases('run: user', ['by name and group', 'unknown name', 'a user owns no capabilities']);
scriptCases('run: user', {
  'by name': `docker run --rm -u user busybox id`,
  'by name and group': `docker run --rm -u user:audio busybox id`,
  'by number': `docker run --rm -u 1000 busybox id`,
  'by numbers': `docker run --rm -u 1000:33 busybox id`,
  'unknown number': `docker run --rm -u 4711:4712 busybox sh -c 'id -u; id -g'`,
  'unknown name': `docker run --rm -u nosuchuser busybox id`,
  'unknown group': `docker run --rm -u root:nosuchgroup busybox id`,
  'out of range': `docker run --rm -u 4294967296 busybox id`,
  '--group-add by name and number': `docker run --rm -u user --group-add www-data --group-add 4242 busybox sh -c 'id -G | tr " " "\\n" | sort -n | tr "\\n" " "'`,
  'supplementary groups of the image': `docker run --rm -u user busybox sh -c 'grep Groups /proc/self/status'`,
  'a user owns no capabilities': `docker run --rm -u user busybox sh -c 'grep ^Cap /proc/self/status'`,
});
