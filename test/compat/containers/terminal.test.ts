// -t: pseudo-terminals. The client is given one by script(1).

import { mainCases, scriptCases } from '../harness/cases';

const tty = (command: string): string => `script -qefc "stty rows 30 cols 90; ${command}" /dev/null`;

mainCases('terminal', [
  'the process has one',
  'it has the size of the client',
  'typed lines are echoed and read',
  'ctrl-C is a signal to the process',
  'detach keys leave it running',
  'a client without one is refused',
  'output in full before the end',
]);
scriptCases('terminal', {
  'the process has one': {
    script: `
      docker run --rm -t busybox tty
      docker run --rm busybox tty`,
    bothClis: true,
  },
  'lines end in CR LF and streams are one': `docker run --rm -t busybox sh -c 'echo out; echo err >&2' | od -c`,
  'TERM is set': `
    docker run --rm -t busybox sh -c 'echo $TERM'
    docker run --rm busybox sh -c 'echo [$TERM]'
    docker run --rm -t -e TERM=vt100 busybox sh -c 'echo $TERM'`,
  'it has the size of the client': {
    script: `
      sleep 4 | ${tty(`docker run --rm -it busybox sh -c 'sleep 0.5; stty size'`)}
      docker run -d --name $c busybox sleep 1000 >/dev/null
      sleep 4 | ${tty(`docker exec -it $c sh -c 'sleep 0.5; stty size'`)}`,
    bothClis: true,
  },
  'typed lines are echoed and read': `(sleep 2; echo hello; sleep 1) | ${tty(`docker run --rm -it busybox sh -c 'read line; echo got \\$line'`)}`,
  'ctrl-C is a signal to the process': `(sleep 2; printf '\\003'; sleep 1) | ${tty(`docker run --rm -it busybox sh -c 'trap \\"echo int; exit 3\\" INT; sleep 20 & wait'`)}`,
  'ctrl-D ends the input': `(sleep 2; printf 'text\\n\\004'; sleep 1) | ${tty(`docker run --rm -it busybox cat`)}`,
  'detach keys leave it running': {
    script: `
      (sleep 2; printf '\\020\\021'; sleep 1) | ${tty(`docker run -it --name $c busybox sh -c 'while :; do sleep 0.2; done'`)}
      docker inspect -f '{{.State.Running}}' $c`,
    bothClis: true,
  },
  'other detach keys': `
    (sleep 2; printf 'ab'; sleep 1) | ${tty(`docker run -it --detach-keys a,b --name $c busybox cat`)}
    docker inspect -f '{{.State.Running}}' $c
    (sleep 2; printf '\\030'; sleep 1) | ${tty(`docker attach --detach-keys ctrl-x $c`)}
    docker inspect -f '{{.State.Running}}' $c`,
  'invalid detach keys': `docker run -it --rm --detach-keys nonsense busybox true`,
  'detach keys of an exec': `
    docker run -d --name $c busybox sleep 1000 >/dev/null
    (sleep 2; printf '\\020\\021'; sleep 1) | ${tty(`docker exec -it $c cat`)}
    docker inspect -f '{{.State.Running}}' $c`,
  'a client without one is refused': `docker run -it --rm busybox true`,
  'the controlling terminal and job control': `docker run --rm -t busybox sh -c 'ps -o pid,tty,comm | head -n 2; test -c /dev/console && echo console; exec 3</dev/tty && echo opened'`,
  'owner and mode': `docker run --rm -t -u user busybox sh -c 'stat -c "%u %a" $(tty)'`,
  'a hang-up when the process ends': `docker run --rm -t busybox sh -c 'sleep 30 & exit 5'; echo $?`,
  'output in full before the end': `docker run --rm -t busybox seq 5000 | md5sum`,
});
