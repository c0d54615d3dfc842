// RUN with mounts, secrets, networks.

import { buildCases } from '../harness/build-cases';
import { mainCases } from '../harness/cases';

mainCases('buildkit: mounts', ['caches keep their files', 'secrets']);

buildCases('buildkit: mounts', {
  'caches keep their files': `
    printf 'FROM busybox\\nARG n\\nRUN --mount=type=cache,target=/c,id='$c' echo $n >>/c/f; cat /c/f; stat -c "%%a %%u" /c\\nRUN ls -d /c\\n' >Dockerfile
    docker build --build-arg n=1 .
    docker build --build-arg n=2 . 2>&1 | grep '^#.* [0-9.]* [0-9]$' | sed 's/.* //'
    printf 'FROM busybox\\nRUN --mount=type=cache,target=/c,id='$c',readonly touch /c/x\\n' >Dockerfile
    docker build . 2>&1 | grep touch: | head -1 | sed 's/.*touch/touch/'
    printf 'FROM busybox\\nRUN --mount=type=cache,target=/d,id='$c'-2,uid=5,gid=6,mode=0700 stat -c "%%a %%u %%g" /d\\n' >Dockerfile
    docker build .`,
  secrets: `
    echo hush >s
    printf 'FROM busybox\\nRUN --mount=type=secret,id=s cat /run/secrets/s; stat -c "%%a %%u" /run/secrets/s\\nRUN --mount=type=secret,id=s,target=/x,mode=0444,uid=5 stat -c "%%a %%u" /x\\nRUN --mount=type=secret,id=none ls /run/secrets\\nRUN ls -a /run\\n' >Dockerfile
    docker build --secret id=s,src=s -t $c .
    docker history --no-trunc --format '{{.CreatedBy}}' $c
    printf 'FROM busybox\\nRUN --mount=type=secret,id=none,required=true true\\n' >Dockerfile
    docker build .`,
  'binds and tmpfs': `
    mkdir d; echo in >d/f
    printf 'FROM busybox AS one\\nRUN echo stage >/s\\nFROM busybox\\nRUN --mount=type=bind,target=/b --mount=type=bind,from=one,source=/s,target=/s cat /b/d/f /s; touch /b/x\\n' >Dockerfile
    docker build . 2>&1 | grep -v '^ *[0-9]* |' | tail -12
    printf 'FROM busybox\\nRUN --mount=type=bind,source=d,target=/b,rw touch /b/x && ls /b\\nRUN --mount=type=tmpfs,target=/t,size=65536 touch /t/x; df -k /t | tail -1 | grep -o tmpfs\\nRUN ls -a /b /t\\n' >Dockerfile
    docker build .`,
  'networks and hosts': `
    printf 'FROM busybox\\nRUN --network=none ls /sys/class/net\\nRUN grep me /etc/hosts | cut -c 1-7\\n' >Dockerfile
    docker build --add-host me:1.2.3.4 .
    printf 'FROM busybox\\nRUN --network=host true\\n' >Dockerfile
    docker build . 2>&1 | tail -1`,
  'an SSH agent': {
    script: `
      ssh-keygen -q -t ed25519 -N '' -C key-of-$c -f key
      eval $(ssh-agent) >/dev/null; ssh-add -q key
      printf 'FROM busybox\\nRUN --mount=type=ssh echo $SSH_AUTH_SOCK; test -S $SSH_AUTH_SOCK; stat -c "%%a %%u" $SSH_AUTH_SOCK\\nRUN --mount=type=ssh,required=true,id=none true\\n' >Dockerfile
      docker build --ssh default . 
      kill $SSH_AGENT_PID`,
  },
});
