// Volumes: the API's verbs, what fills them, what a container sees of them, and several containers on one.

import { type HttpCase, httpCases, mainCases, scriptCases } from '../harness/cases';
import { python } from '../harness/python';

const show = `docker volume inspect -f '{{.Name}} {{.Driver}} {{.Scope}} {{json .Labels}} {{json .Options}} {{.Mountpoint}}'`;

scriptCases('volumes: create and inspect', {
  'with labels, and again': {
    script: `
      docker volume create --label a=b --label c $c-v
      docker volume create --label other=1 $c-v
      docker volume create --driver local $c-plain
      ${show} $c-v $c-plain
      docker volume inspect $c-v
      docker volume inspect $c-v $c-nobody`,
    bothClis: true,
  },
  'names that are none': `
      docker volume create 'a/b'
      docker volume create _x
      docker volume create a
      docker volume create 'ü'
      docker volume create ..
      docker volume create -- -x
      docker run --rm -v a:/x busybox true
      docker run --rm -v _a:/x busybox true`,
  'a long name': `
      name=$c$(printf 'x%.0s' $(seq 240)); docker volume create $name | wc -c; docker volume rm $name | wc -c
      name=$c$(printf 'x%.0s' $(seq 300)); docker volume create $name 2>&1 | grep -c 'file name too long'`,
  'drivers and options that are none': `
      docker volume create --driver no-such-driver $c-v
      docker volume create --opt nonsense=1 $c-v
      docker volume create --opt type=tmpfs $c-v
      docker volume create --opt device=/x $c-v
      docker volume create --opt o=bind $c-v
      docker volume create --opt size=1m $c-v
      docker volume create --opt type= --opt device= $c-v
      docker volume create --opt size=0 $c-zero
      docker volume ls -q --filter name=$c
      docker volume create --opt size=x $c-v
      docker run --rm --mount type=volume,source=$c,target=/x,volume-opt=nonsense=1 busybox true`,
});

scriptCases('volumes: list, remove and prune', {
  'every filter': {
    script: `
      docker volume create --label of=$c --label kind=one $c-one >out; docker volume create --label of=$c --label kind=two $c-two >out
      docker create --name $c -v $c-two:/v busybox >out
      docker volume ls -q --filter label=of=$c
      docker volume ls -q --filter name=$c-o
      docker volume ls -q --filter name=$c-one --filter name=$c-two
      docker volume ls -q --filter name=$c --filter label=kind=one
      docker volume ls -q --filter label=of=$c --filter label=kind=two
      docker volume ls -q --filter label=of=$c --filter label=kind=three
      docker volume ls -q --filter name=$c --filter driver=local
      docker volume ls -q --filter name=$c --filter driver=other
      docker volume ls -q --filter name=$c --filter dangling=true
      docker volume ls -q --filter name=$c --filter dangling=0
      docker volume ls -q --filter name=$c --filter dangling=perhaps
      docker volume ls -q --filter nonsense=1
      docker volume ls --filter name=$c
      docker volume ls --filter name=$c --format '{{.Name}} {{.Driver}} {{.Scope}} {{.Label "kind"}} {{.Links}} {{.Size}}'`,
    bothClis: true,
  },
  'remove: one in use, one that is not there': {
    script: `
      docker volume create $c-free >out; docker create --name $c -v $c-used:/v busybox >out
      docker volume rm $c-used
      docker volume rm -f $c-used
      docker volume rm $c-nobody $c-free
      docker volume rm -f $c-nobody
      docker volume rm
      docker rm $c && docker volume rm $c-used`,
    bothClis: true,
  },
  'prune by labels': {
    script: `
      for i in 1 2 3; do docker volume create --label of=$c --label n=$i $c-$i; done
      docker create --name $c -v $c-3:/v busybox >out
      docker run --rm -v $c-1:/one -v $c-2:/two busybox sh -c 'echo 12345 >/one/f; mkdir /two/d; echo 1234567 >/two/d/f'
      busy_wait docker volume prune -f --filter label=of=$c --filter label=n=1 --filter all=1
      docker volume ls -q --filter name=$c
      busy_wait docker volume prune -f --filter label=of=$c --filter label!=n=2 --filter all=1
      docker volume ls -q --filter name=$c
      docker volume prune -f --filter nonsense=1`,
  },
});

function create(HostConfig: Record<string, unknown>): HttpCase {
  return { request: 'POST /v1.41/containers/create?name=$c', body: { Image: 'busybox', HostConfig } };
}

function volume(more: Record<string, unknown>): Record<string, unknown> {
  return { Type: 'volume', Source: '$c', Target: '/x', ...more };
}

httpCases('volumes: requests', {
  errors: [
    { request: 'POST /v1.41/volumes/create', body: { Name: '$c-v', Labels: { of: '$c' } } },
    'DELETE /v1.41/volumes/$c-v',
    'DELETE /v1.41/volumes/$c-v',
    'DELETE /v1.41/volumes/$c-v?force=1',
    'GET /v1.41/volumes/$c-v',
    'GET /v1.41/volumes?filters={"dangling":["x"]}',
    'GET /v1.41/volumes?filters=nonsense',
    'POST /v1.41/volumes/prune?filters=nonsense',
    { request: 'POST /v1.41/volumes/create', body: { Name: '$c/x' } },
    { request: 'POST /v1.41/volumes/create', body: { Driver: 'nonsense', Name: '$c' } },
  ],
  'creates that are refused': [
    create({ VolumesFrom: [''] }),
    create({ VolumeDriver: 'nope', Binds: ['$c:/x'] }),
    create({ Mounts: [volume({ VolumeOptions: { DriverConfig: { Name: 'nope' } } })] }),
    create({ Mounts: [{ Type: 'volume', Target: '/x', ReadOnly: true }] }),
    create({ Mounts: [volume({ BindOptions: {} })] }),
    create({ Mounts: [volume({ Target: 'relative' })] }),
    create({ Tmpfs: { '/b': '' }, Binds: ['/b'] }),
    create({ Binds: ['$c/x:/foo'] }),
    create({ Binds: ['$c:/foo:rw', '/foo:rw'] }),
  ],
});

mainCases('volumes: in a container', [
  'modes and inspect',
  'the first use takes what the image has there',
  'anonymous ones go with --rm and rm -v, others stay',
  '--mount type=volume',
]);
scriptCases('volumes: in a container', {
  'modes and inspect': {
    script: `
      docker run --name $c -v $c-rw:/rw -v $c-ro:/ro:ro -v $c-z:/z:z -v $c-nc:/nc:nocopy,ro -v $c-rwx:/deep/in/it:rw -v /anonymous busybox sh -c 'for d in rw ro z nc deep/in/it anonymous; do touch /$d/f && echo $d; stat -c "%a %u:%g %F" /$d; grep -o " /$d [^ ]* r[wo]" /proc/mounts | cut -d" " -f2,4; ls -a /$d; done'
      docker inspect -f '{{range .Mounts}}{{println .Destination .Type .Name .Source .Driver .Mode .RW .Propagation}}{{end}}' $c | sort
      docker inspect -f '{{range .HostConfig.Binds}}{{println .}}{{end}}{{json .Config.Volumes}} {{json .HostConfig.Mounts}}' $c | sort`,
    bothClis: true,
  },
  'words that are none': `
      create() { docker create --label case=$c "$@"; }
      create -v $c:/x:nonsense busybox
      create -v $c:/x:ro,rw busybox
      create -v $c:/x:z,Z busybox
      create -v $c:/x:nocopy,nocopy busybox
      create -v $c:/x:rshared busybox
      create -v $c:/x: busybox
      create -v $c:x busybox
      create -v $c:/ busybox
      create -v :/x busybox
      create -v $c: busybox
      create -v '' busybox
      create -v $c:/x -v $c:/x/ busybox
      create -v $c:/x:cached busybox
      create -v a:b:c:d busybox`,
  'the first use takes what the image has there': `
    printf 'FROM busybox\\nRUN mkdir -p /d/sub && echo x >/d/f && ln /d/f /d/again && ln -s ../etc/passwd /d/out && ln -s /bin/sh /d/absolute && mkfifo /d/fifo && chown 5:6 /d/f /d && chmod 2751 /d/sub /d\\nVOLUME /d\\n' >Dockerfile
    DOCKER_BUILDKIT=0 docker build -qt $c . >/dev/null
    docker run --rm -v $c-v:/d $c sh -c 'cd /d && stat -c "%n %F %a %u:%g %h" . * && readlink out; readlink absolute; echo more >f && cat again'
    docker run --rm -v $c-v:/other busybox cat /other/again
    docker run --rm -v $c-w:/d:nocopy $c ls /d
    docker run --rm $c ls /d
    docker volume rm $c-v $c-w && docker rmi -f $c | grep -c Untagged`,
  'a directory elsewhere, and one that is not there': `
    mkdir d; echo f >d/f; docker volume create --opt type=none --opt o=bind --opt device=$PWD/d $c >out; docker volume create --opt type=none --opt o=bind,ro --opt device=$PWD/missing $c-none >out
    docker run --rm -v $c:/x busybox sh -c 'cat /x/f; echo new >/x/g'; cat d/g
    docker run --name $c -v $c-none:/x busybox true 2>&1 | sed 's|/[^ ]*/volumes/|/volumes/|g'; docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' $c; ls
    docker rm $c; docker volume rm $c $c-none; ls d`,
  'anonymous ones go with --rm and rm -v, others stay': `
      docker run --rm --name $c -v /a -v $c-named:/n busybox touch /n/f
      docker volume ls -q --filter name=$c
      docker create --name $c -v /a -v $c-named:/n busybox >out; v=$(docker inspect -f '{{range .Mounts}}{{if eq .Destination "/a"}}{{.Name}}{{end}}{{end}}' $c)
      docker volume inspect -f '{{json .Labels}} {{json .Options}}' $v
      docker rm $c && docker volume inspect -f '{{.Scope}}' $v && docker volume rm $v | wc -c
      docker create --name $c -v /a -v $c-named:/n busybox >out; v=$(docker inspect -f '{{range .Mounts}}{{if eq .Destination "/a"}}{{.Name}}{{end}}{{end}}' $c)
      docker rm -v $c && docker volume inspect -f '{{.Scope}}' $v 2>/dev/null
      docker volume ls -q --filter name=$c`,
  '--volumes-from': {
    script: `
      mkdir src && echo s >src/s
      docker create --name $c-a -v $c-v:/v -v $c-r:/r:ro -v $PWD/src:/b -v /anon --tmpfs /t busybox >out
      docker run --rm --name $c-rw --volumes-from $c-a -v $c-own:/r busybox sh -c 'for d in v r b anon t; do touch /$d/new && echo $d; done; ls /b'
      docker run --name $c-ro --volumes-from $c-a:ro busybox sh -c 'for d in v r b anon; do touch /$d/new2 && echo $d; ls $d; done'
      docker inspect -f '{{range .Mounts}}{{println .Type .Destination .Mode .RW .Propagation}}{{end}}' $c-ro | sort
      docker run --rm --volumes-from $c-ro busybox sh -c 'touch /v/new3; ls /v'
      docker run --rm --volumes-from $c-nobody busybox true
      docker run --rm --volumes-from $c-a:nonsense busybox true
      docker rm -v $c-ro && docker start -a $c-a && docker rm -v $c-a`,
    bothClis: true,
  },
  '--mount type=volume': `
      docker run --name $c --mount type=volume,source=$c-v,target=/v,volume-label=a=b --mount type=volume,src=$c-r,dst=/r,readonly --mount type=volume,dst=/anon --mount type=volume,src=$c-n,dst=/etc,volume-nocopy busybox sh -c 'for d in v r anon; do touch /$d/f && echo $d; done; ls /etc'
      docker inspect -f '{{range .Mounts}}{{println .Type .Destination .Driver .Mode .RW .Propagation}}{{end}}{{json .HostConfig.Mounts}}' $c | sort
      docker volume inspect -f '{{json .Labels}}' $c-v
      docker create --mount type=volume,source=$c-v busybox
      docker create --mount type=volume,source=$c-v,target=x busybox
      docker create --mount type=volume,source=/abs,target=/x busybox
      docker create --mount type=volume,source=$c,target=/x,bind-propagation=shared busybox
      docker create --mount type=volume,source=$c,target=/x,tmpfs-size=1m busybox
      docker create --mount type=volume,source=$c,target=/x --mount type=volume,source=$c-v,target=/x busybox
      docker create --mount type=volume,source=$c,target=/ busybox`,
});

mainCases('volumes: shared by two', ['what one writes, the other sees', 'locks hold across them']);
scriptCases('volumes: shared by two', {
  'what one writes, the other sees': `
      docker run -d --name $c-a -v $c:/v busybox sleep 1000 >out; docker run -d --name $c-b -v $c:/w busybox sleep 1000 >out
      docker exec $c-a sh -c 'ls -A /v; echo one >/v/f; mkdir /v/d; ln -s f /v/l; ln /v/f /v/h; mkfifo /v/p; chown 3:4 /v/d; chmod 1751 /v/d'
      docker exec $c-b sh -c 'cd /w; cat f l h; stat -c "%n %a %u:%g %h %F" f d l p; mv f d/moved; echo more >>d/moved; rm l'
      docker exec $c-a sh -c 'cd /v; ls; cat d/moved h; rm -r d; truncate -s 5g sparse; echo end | dd of=sparse bs=1 seek=5368709116 conv=notrunc 2>/dev/null'
      docker exec $c-b sh -c 'cd /w; ls -A; stat -c %s sparse; test $(stat -c %b sparse) -lt 1000 && echo sparse; tail -c 4 sparse'
      docker exec $c-a sh -c 'exec 3>/v/open; rm /v/open; echo x >&3; cat /proc/self/fd/3; ls -A /v | grep -v log; for i in 1 2 3 4 5; do echo a$i >>/v/log; done' & docker exec $c-b sh -c 'for i in 1 2 3 4 5; do echo b$i >>/w/log; done'; wait $!
      docker exec $c-b sh -c 'sort /w/log'
      docker volume rm $c`,
  'one in memory, gone with the last that uses it': `
      docker volume create -o type=tmpfs -o device=tmpfs -o o=size=1m,mode=1750,uid=5 $c >out
      docker run -d --name $c-a -v $c:/v busybox sh -c 'echo it >/v/f; touch /v/ready; sleep 1000' >out; docker exec $c-a sh -c 'until test -e /v/ready; do :; done'
      docker run --rm -v $c:/w busybox sh -c 'cat /w/f; stat -c "%a %u" /w; dd if=/dev/zero of=/w/g bs=1k count=2000 2>&1 | grep -o "No space.*"; rm /w/g; echo more >>/w/f'
      docker exec $c-a cat /v/f; docker volume inspect -f '{{json .Options}}' $c
      docker rm -f $c-a; docker run --rm -v $c:/v busybox ls -A /v; docker volume rm $c`,
  'a file that is replaced, and removed, while another has it open': `
      docker run -d --name $c-a -v $c:/v debian:12 bash -c 'echo old >/v/f; exec 3</v/f 4<>/v/g; echo x >/v/ready; until test -e /v/stop; do sleep .1; done; cat <&3; cat /v/f; cat <&4; echo late >&4; ls /v; cat /proc/self/fd/4' >out; docker run -d --name $c-b -v $c:/w debian:12 sleep 1000 >out
      docker exec $c-b bash -c 'until test -s /w/ready; do sleep .1; done; stat -c "%h %s" /w/f; echo new >/w/n; mv /w/n /w/f; cat /w/f; echo from b >/w/g; exec 5</w/g; rm /w/g; touch /w/stop; cat <&5; until ! test -e /w/stop; do sleep .1; done; tail -n 1 <&5' &
      docker wait $c-a; docker exec $c-b rm /w/stop; wait; docker logs $c-a`,
  'locks hold across them': `
      docker run -d --name $c-a -v $c:/v debian:12 sleep 1000 >out; docker run -d --name $c-b -v $c:/v debian:12 sleep 1000 >out
      docker exec $c-a sh -c 'truncate -s 8192 /v/m; touch /v/l'
      docker exec -d $c-a python3 -c 'import fcntl,os,time;f=open("/v/l","r+");fcntl.flock(f,fcntl.LOCK_EX);g=open("/v/p","w+");fcntl.lockf(g,fcntl.LOCK_EX,10,5);open("/v/held","w").close();[time.sleep(.05) for _ in iter(lambda:os.path.exists("/v/go"),True)]'
      docker exec $c-b sh -c 'until test -e /v/held; do :; done; flock -n /v/l true; echo $?; flock -sn /v/l true; echo $?'
      docker exec $c-b python3 -c 'import fcntl,sys; g=open("/v/p","r+"); fcntl.lockf(g,fcntl.LOCK_EX|fcntl.LOCK_NB,5,0); print("before it",file=sys.stderr); fcntl.lockf(g,fcntl.LOCK_EX|fcntl.LOCK_NB,5,8)' 2>&1 | grep -v -e '^ ' -e Traceback
      docker exec $c-b sh -c 'touch /v/go; flock /v/l echo mine'
      docker exec $c-b python3 -c 'import fcntl; g=open("/v/p","r+"); fcntl.lockf(g,fcntl.LOCK_EX,5,8); print("mine too")'
      docker exec $c-a python3 -c 'import mmap; f=open("/v/m","r+b"); m=mmap.mmap(f.fileno(),8192); m[4096:4101]=b"hello"; m.flush()'
      docker exec $c-b python3 -c 'import mmap; f=open("/v/m","r+b"); m=mmap.mmap(f.fileno(),8192); print(m[4096:4101])'`,
});

/** Lines that are longer than what is left of a page, each in one write. */
const appends = (who: string): string =>
  python(`
import os
log = os.open('/v/log', os.O_WRONLY | os.O_APPEND | os.O_CREAT)
for i in range(60): os.write(log, b'${who}' * 2999 + b'\\n')
`);
/** A file that is open to append to, mapped; and one that no longer is, and one that is since. */
const appendsAndMore = `
import fcntl, mmap, os
open('/v/a', 'wb').write(bytes(8192))
a = open('/v/a', 'a+b'); m = mmap.mmap(a.fileno(), 8192); m[4096:4101] = b'hello'; m.flush()
print(os.stat('/v/a').st_size, open('/v/a', 'rb').read()[4096:4101])
b = os.open('/v/b', os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND); os.write(b, b'0123'); fcntl.fcntl(b, fcntl.F_SETFL, 0); os.pwrite(b, b'x', 0)
c = os.open('/v/c', os.O_WRONLY | os.O_CREAT | os.O_TRUNC); os.write(c, b'0123'); fcntl.fcntl(c, fcntl.F_SETFL, os.O_APPEND); os.pwrite(c, b'x', 0)
print(open('/v/b').read(), open('/v/c').read())
`;
/** The lock of an open file (F_OFD_SETLKW, F_OFD_SETLK). */
const openFileLock = (then: string): string =>
  python(`
import fcntl, os, struct, time
lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 10, 0)
f = open('/v/ofd', 'w+')
${then}
`);

mainCases('volumes: open files', ['set-id bits go with chown to nobody else, and with fallocate']);
scriptCases('volumes: open files', {
  'lines that two append stay whole': `
      docker run -d --name $c-a -v $c:/v debian:12 ${appends('a')} >out
      docker run --rm -v $c:/v debian:12 ${appends('b')}
      docker wait $c-a; docker run --rm -v $c:/v busybox sh -c 'sort /v/log | uniq -c | cut -c 1-20; wc -c </v/log'`,
  'what appends has a mapping, or changes its mind': `
      docker run --rm -v $c:/v debian:12 ${python(appendsAndMore)}`,
  'the lock of an open file goes with the one who is killed': `
      docker run -d --name $c-a -v $c:/v debian:12 ${openFileLock(`fcntl.fcntl(f, 38, lock); os.mkdir('/v/held'); time.sleep(1000)`)} >out
      docker run --rm --name $c-b -v $c:/v debian:12 ${openFileLock(`
while not os.path.exists('/v/held'): time.sleep(.05)
try: fcntl.fcntl(f, 37, lock)
except OSError as e: print(e.strerror)
child = os.fork()
if child == 0:
    g = open('/v/other', 'w+'); fcntl.fcntl(g, 38, lock); os.mkdir('/v/child'); time.sleep(1000)
while not os.path.exists('/v/child'): time.sleep(.05)
os.kill(child, 9); os.wait(); g = open('/v/other', 'r+'); fcntl.fcntl(g, 38, lock); print("the child's")
os.mkdir('/v/wait'); fcntl.fcntl(f, 38, lock); print('mine')`)} &
      wait_for 'docker exec $c-a test -d /v/wait' >out; docker kill $c-a; wait`,
  'set-id bits go with chown to nobody else, and with fallocate': `
      docker run --rm -v $c:/v debian:12 sh -c 'cd /v; touch f; chown 1:1 f; chmod 6755 f; python3 -c "import os; os.chown(\'f\',-1,-1)"; stat -c %a f; chmod 6755 f; setpriv --reuid 1 --clear-groups fallocate -l 10 f; stat -c %a f; chmod 6755 f; chmod 6755 f; touch f; stat -c %a f'`,
});

mainCases('volumes: what fills them', []);
scriptCases('volumes: what fills them', {
  'a read-only mount': `
    docker run --rm -v $c-ro:/etc:ro busybox sh -c 'ls /etc | head -3; touch /etc/x 2>/dev/null || echo refused'
    docker run --rm -v $c-ro:/x busybox sh -c 'ls /x | head -3; touch /x/y && stat -c %a /x'
    docker volume rm $c-ro | wc -l`,
  'a container that was only created': `
    docker create --name $c-a -v $c-v:/etc busybox | wc -c
    docker run --rm -v $c-v:/x busybox sh -c 'ls /x | head -3'
    docker create --name $c-b -v /etc busybox | wc -c
    docker run --rm --volumes-from $c-b:ro busybox sh -c 'ls /etc | head -3; touch /etc/x 2>/dev/null || echo refused'
    docker create --name $c-d -v $c-w:/etc busybox | wc -c
    docker cp $c-d:/etc - | tar -t | sort | head -3
    docker rm -v $c-a $c-b $c-d | wc -l`,
  'what was emptied stays empty': `
    docker run --name $c-a -v $c-v:/var busybox sh -c 'ls -A /var; touch /var/own; rm -r /var/*; ls -A /var | wc -l'
    docker start -a $c-a
    docker run --rm -v $c-v:/v busybox ls -A /v`,
});
