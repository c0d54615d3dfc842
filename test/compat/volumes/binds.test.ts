// Bind mounts and tmpfs: what of the host's files a container sees, and the host of the container's.

import { mainCases, scriptCases } from '../harness/cases';
import { python } from '../harness/python';

mainCases('binds: sources and modes', [
  'directories and files, rw and ro',
  'sources that are none',
  'propagation that a VM can give',
]);
scriptCases('binds: sources and modes', {
  'directories and files, rw and ro': {
    script: `
      mkdir -p d/sub && echo one >d/one && echo f >f && chmod 640 f && chown 12:34 f
      docker run --name $c -v $PWD/d:/d -v $PWD/d:/ro:ro -v $PWD/f:/f -v $PWD/f:/deep/dir/f:ro busybox sh -c 'cat /d/one /ro/one /f /deep/dir/f; stat -c "%a %u:%g %F" /f /d; echo two >/d/two; touch /ro/x; echo x >/deep/dir/f; echo changed >/f; cat /ro/two; rm /f; mv /d/one /f; ls -l /ro | wc -l; rmdir /d'
      cat f d/two; ls d
      docker inspect -f '{{range .Mounts}}{{println .Type .Source .Destination .Mode .RW .Propagation .Name .Driver}}{{end}}{{range .HostConfig.Binds}}{{println .}}{{end}}' $c | sort`,
    bothClis: true,
  },
  'a source that is not there': {
    script: `
      docker run --rm -v $PWD/made/by/it:/x busybox sh -c 'echo x >/x/f; stat -c "%a %u:%g" /x'
      cat made/by/it/f; stat -c '%a %u:%g' made made/by/it
      docker run --rm --mount type=bind,source=$PWD/not-made,target=/x busybox true
      test -e not-made; echo $?
      docker create --name $c -v $PWD/later:/x busybox ls /x >out; ls
      mkdir later; touch later/f; docker start -a $c; ls
      rm -r later; docker start -a $c; ls -d later
      docker rm $c; mkdir m; docker create --name $c --mount type=bind,source=$PWD/m,target=/x busybox ls /x >out; rmdir m; docker start -a $c; ls -d m; docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' $c`,
    bothClis: true,
  },
  'hundreds at once': `
      for i in $(seq 250); do mkdir -p m/$i; echo $i >m/$i/f; done
      docker run -d --name $c $(for i in $(seq 250); do echo -v $PWD/m/$i:/m/$i; done) busybox sleep 1000 >out
      docker exec $c sh -c 'cat /m/*/f | sort -n | md5sum; grep -c " /m/" /proc/mounts; echo x >/m/77/new; ls -d /m/* | wc -l'; cat m/77/new
      docker inspect -f '{{len .Mounts}} {{len .HostConfig.Binds}}' $c`,
  'sources that are none': `
      create() { docker create --label case=$c "$@"; }
      create -v ./rel:/x busybox | wc -c
      create -v rel/ative:/x busybox
      create -v ../x:/x busybox
      create --mount type=bind,source=rel,target=/x busybox
      create --mount type=bind,target=/x busybox
      create --mount type=bind,source=/tmp busybox
      create --mount type=bind,source=/tmp,target=/x,volume-nocopy=true busybox
      create --mount type=bind,source=/tmp,target=/ busybox
      create --mount type=nonsense,source=/tmp,target=/x busybox
      create -v /tmp:/x:nonsense busybox
      create -v /tmp:/x:nocopy busybox
      create -v /tmp:/x:ro,rw busybox
      create -v /tmp:/x:shared,slave busybox
      create -v /tmp: busybox
      create -v /tmp:/ busybox
      create -v /tmp:/x -v /etc:/x busybox
      create -v /tmp:/x --tmpfs /x busybox | wc -c
      create -v /tmp/not-a-dir-$c:/y -v $c-one:/x -v $c-two:/x/ busybox
      create -v $c-three:/x --mount type=volume,source=$c-four,target=/y --mount type=tmpfs,target=/x busybox
      create -v $c-five:/x --tmpfs /x busybox
      # the docker command sends what -v names in any order: the first of the two is made
      docker volume ls -q --filter name=$c | sed -E 's/-(one|two)$/-one of two/' | sort
      create --mount type=bind,source=/tmp,target=/x,bind-propagation=nonsense busybox`,
  'devices that every Linux has': `
    for d in null zero full random urandom; do docker run --rm -v /dev/$d:/x busybox sh -c 'stat -c "%F %t:%T" /x; head -c 3 /x | wc -c; echo 2>/dev/null >/x && echo written'; done
    docker run --rm -v /dev/zero:/x:ro busybox sh -c 'head -c 3 /x | wc -c; grep -c " /x .*ro" /proc/mounts'`,
  'a file on a directory, a directory on a file': `
      mkdir d; touch f
      docker run --rm -v $PWD/d:/etc/passwd busybox true 2>&1 | grep -o 'Are you trying.*'
      docker run --rm -v $PWD/f:/etc busybox true 2>&1 | grep -o 'Are you trying.*'
      docker run --rm -v $PWD/f:/etc busybox true 2>&1 | grep -o 'error mounting "[^:]*'
      docker run --name $c -v $PWD/f:/etc busybox true 2>err; echo $?; docker inspect -f '{{.State.ExitCode}}' $c`,
  'propagation that a VM can give': `
      mkdir d
      docker run --name $c -v $PWD/d:/a:rprivate -v $PWD/d:/b:private,ro --mount type=bind,source=$PWD/d,target=/c,bind-propagation=private --mount type=bind,source=$PWD/d,target=/e,bind-nonrecursive=true busybox sh -c 'grep -E " /[abce] " /proc/self/mountinfo | grep -c -E "shared|master"; touch /a/x; touch /b/x; ls /c /e'
      docker inspect -f '{{range .Mounts}}{{println .Destination .Mode .RW .Propagation}}{{end}}{{json .HostConfig.Mounts}}' $c | sort`,
  "what holds the engine's own files": `
      inspect() { docker create --name $c "$@" busybox true >out 2>&1 && docker inspect -f '{{json .Mounts}}' $c; sed -E 's/"[^"]*compat[^"]*"/its root/; /^[0-9a-f]+$/d' out; docker rm $c >out 2>&1; }
      inspect -v /:/x; inspect -v /:/x:rprivate; inspect --mount type=bind,source=/,target=/x; inspect --mount type=bind,source=/,target=/x,bind-propagation=private`,
  'a link as source': `
      mkdir d; echo f >d/f; ln -s d dirlink; ln -s d/f filelink; ln -s nowhere dangling
      docker run --rm -v $PWD/dirlink:/d -v $PWD/filelink:/f busybox sh -c 'ls /d; cat /f; stat -c %F /d /f'
      docker run --rm -v $PWD/dangling:/x busybox true 2>&1 | sed 's|.*: mkdir|mkdir|'
      docker run --rm --mount type=bind,source=$PWD/dangling,target=/x busybox true 2>&1 | grep -c 'Error response'`,
  'odd names of sources and targets': `
      mkdir 'a b' 'ü%n' "$(printf 'new\\nline')" 'com,ma'; for d in *; do echo "$d" >"$d/f"; done
      docker run --rm -v "$PWD/a b:/a b" -v "$PWD/ü%n:/ü%n" -v "$PWD/$(printf 'new\\nline'):/n" -v "$PWD/com,ma:/com,ma" busybox cat '/a b/f' '/ü%n/f' /n/f /com,ma/f
      docker run --rm --mount "type=bind,source=$PWD/a b,target=//x/../y/./" busybox cat /y/f`,
});

/** Watches what it is told to, and says what it is told, each thing once. Ends when a file `stop` is made. */
const watcher = `
import ctypes, os, struct, sys
libc = ctypes.CDLL(None)
descriptor = libc.inotify_init()
paths = {libc.inotify_add_watch(descriptor, path.encode(), 0xfce): path for path in sys.argv[1:]}
kinds = {2: 'MODIFY', 4: 'ATTRIB', 8: 'CLOSE_WRITE', 0x40: 'MOVED_FROM', 0x80: 'MOVED_TO', 0x100: 'CREATE', 0x200: 'DELETE', 0x400: 'DELETE_SELF'}
told = set()
while True:
    data = os.read(descriptor, 65536)
    while data:
        watch, mask, _, length = struct.unpack_from('iIII', data)
        name = data[16:16 + length].rstrip(b'\\0').decode()
        data = data[16 + length:]
        if name == 'stop': sys.exit()
        for bit, kind in kinds.items():
            line = ' '.join([paths[watch], kind, 'probe' if name.startswith('probe') else name])
            if mask & bit and line not in told: print(line, flush=True)
            if mask & bit: told.add(line)
`;

/** Runs the watcher as $c and waits until it is told of files that are made in `directory`. */
const startWatching = (directory: string, watched: string): string => `
  docker run -d --name $c -v $PWD/d:/d -v $PWD/d/ro:/ro:ro -v $PWD/d/g:/g debian:12 ${python(watcher)} ${watched} >out
  n=0; until docker logs $c 2>&1 | grep -q 'CREATE probe'; do n=$((n+1)); touch ${directory}/probe$n; done; rm ${directory}/probe*`;

const stopWatching = (directory: string): string => `
  touch ${directory}/stop; docker wait $c; docker logs $c 2>&1 | grep -v probe | sort`;

scriptCases("binds: of the kernel's file systems", {
  '/proc tells of other processes what a container may know': `
      docker run --rm -v /proc:/host:ro busybox sh -c 'for f in 1/environ 1/mem kcore; do head -c 1 /host/$f >/dev/null; done 2>&1; cut -d. -f2 /host/uptime | wc -l; grep -c MemTotal /host/meminfo; cut -c 1-3 /host/1/stat'`,
});

scriptCases('binds: changes are told to who watches', {
  'made on the host': {
    script: `
      mkdir -p d/sub d/ro; echo 1 >d/f; echo 1 >d/g; chmod 644 d/g
      ${startWatching('d', '/d /d/sub /g')}
      echo more >>d/f; echo new >d/new; mkdir d/made; ln -s x d/link; chmod 600 d/f; mv d/new d/moved; mv d/moved d/sub/away; echo x >>d/sub/away; mv d/sub/away outside; mv outside d/back; rm d/back; rmdir d/made; echo 2 >>d/g
      stat -c %Y d/f >before; ${stopWatching('d')}
      stat -c %Y d/f | cmp - before; cat d/f; find d | sort | grep -v probe`,
  },
  'of a directory that it may only read, and of a file that is replaced': {
    script: `
      mkdir -p d/ro; echo 1 >d/ro/f; echo 1 >d/g
      ${startWatching('d/ro', '/ro /ro/f')}
      echo more >>d/ro/f; echo new >d/ro/f.new; mv d/ro/f.new d/ro/f
      ${stopWatching('d/ro')}`,
  },
  'made by another container': {
    script: `
      mkdir -p d/ro; echo 1 >d/f; echo 1 >d/g
      ${startWatching('d', '/d /d/f')}
      docker run --rm -v $PWD/d:/x busybox sh -c 'echo more >>/x/f; mkdir /x/m; echo 1 >/x/n; mv /x/n /x/m/o; rm /x/m/o; rmdir /x/m'
      ${stopWatching('d')}`,
  },
});

/** Looks without a pause until each thing is so, and says it. */
const looker = `
import os, stat
def kind(path):
    try: return stat.filemode(os.lstat(path).st_mode)
    except FileNotFoundError: return 'none'
def content(path):
    try: return open(path).read().strip()
    except (FileNotFoundError, IsADirectoryError): return None
for said, seen in (
    ('made', lambda: kind('/d/f') == '-rw-r--r--'), ('mode', lambda: kind('/d/f') == '-rw-------'),
    ('written', lambda: content('/d/f') == 'second'), ('replaced', lambda: content('/d/f') == 'another'),
    ('deep', lambda: content('/d/sub/deep') == 'deep'), ('moved', lambda: content('/d/moved/deep') == 'deep' and kind('/d/sub') == 'none'),
    ('directory', lambda: kind('/d/f')[0] == 'd'), ('gone', lambda: kind('/d/moved') == 'none' and not os.listdir('/d/f')),
):
    while not seen(): pass
    print(said, flush=True)
`;

/** Sets, lists and removes, and tells of each refusal. */
const attributes = `
import os, errno
capability = bytes.fromhex('0100000200200000000000000000000000000000')
for name, value in (('user.a', b'1'), ('user.big', b'x' * 3000), ('user.bin', bytes(range(256))), ('security.capability', capability)):
    os.setxattr('f', name, value)
print(sorted(os.listxattr('f')), os.getxattr('f', 'user.bin') == bytes(range(256)), len(os.getxattr('f', 'user.big')))
def told(call, *arguments):
    try: print(call.__name__, call('f', *arguments))
    except OSError as e: print(call.__name__, errno.errorcode[e.errno])
told(os.getxattr, 'user.none')
told(os.removexattr, 'user.none')
told(os.setxattr, 'user.a', b'2', os.XATTR_CREATE)
told(os.setxattr, 'user.b', b'2', os.XATTR_REPLACE)
told(os.setxattr, 'nonsense.a', b'2')
told(os.setxattr, 'user.' + 'n' * 260, b'2')
os.removexattr('f', 'user.big')
`;
/** Listing without times. */
const list = `stat -c "%n %a %u:%g %h %F %s %t:%T"`;

mainCases('binds: files as they are', [
  'owners, modes, links and nodes, both ways',
  'a user of no privilege',
  'what one side changes, the other sees',
  'the whole of the host stays out of reach',
]);
scriptCases('binds: files as they are', {
  'owners, modes, links and nodes, both ways': `
      mkdir d; cd d; echo x >f; chmod 4751 f; chown 100000:65534 f; ln f hard; ln -s f link; ln -s /etc/hostname abs; ln -s ../../../../../../etc/passwd out; mkfifo p; mknod null c 1 3; mknod blk b 7 99; mkdir -m 3777 s; touch -d '2001-02-03 04:05:06.789' old; chmod 0 s/../old
      docker run --rm -v $PWD:/d -w /d busybox sh -c '${list} * | sed "s/directory [0-9]*/directory/"; cat out | grep -c "^user:"; echo y >null; stat -c %y old; echo in >p & cat p; wait; chown 1:2 link f; chown -h 5:6 link; chmod 600 hard; touch -d "2002-03-04 05:06:07" f; mkdir -m 1770 n; ln f n/third; ln -s /nowhere n/dangling; mkfifo n/p; mknod n/zero c 1 5; rm null; mv s n/s; umask 077; echo u >u'
      ${list} * n/* | sed 's/directory [0-9]*/directory/'; stat -c %y f; readlink link n/dangling`,
  'a user of no privilege': `
      mkdir -m 755 d; mkdir -m 1777 d/open; echo s >d/secret; chmod 600 d/secret; echo g >d/group; chmod 640 d/group; chown 0:777 d/group
      chmod 755 . ..; docker run --rm -u 1000:1000 --group-add 777 -v $PWD/d:/d -w /d busybox sh -c 'cat secret; cat group; echo x >new; echo x >open/new; chmod 4755 open/new; chown 0 open/new; rm secret; stat -c "%a %u:%g" open/new; echo x >>open/new; stat -c "%a" open/new; mkdir open/d; touch -d "2001-01-01" group'
      stat -c '%a %u:%g' d/open/new d/open/d; ls d`,
  'set-group-id directories and umask': `
      mkdir d; chown 0:55 d; chmod 2775 d
      docker run --rm -v $PWD/d:/d -w /d busybox sh -c 'umask 027; mkdir sub; echo x >f; stat -c "%n %a %u:%g" sub f; chown 1:1 f; chmod 6755 f; echo y >>f; stat -c %a f; chown 2:2 f; stat -c %a f'
      stat -c '%n %a %u:%g' d/*`,
  'extended attributes': `
      mkdir d; touch d/f
      docker run --rm -v $PWD/d:/d -w /d debian:12 ${python(attributes)}
      ${python('import os; print(sorted(os.listxattr("d/f")), os.getxattr("d/f","security.capability").hex())')}`,
  'names of 255 bytes, and of no encoding': `
      mkdir d; n=$(printf 'x%.0s' $(seq 255)); touch d/$n; touch "d/$(printf 'h\\377\\376')" "d/$(printf 'nl\\nx')" 'd/-' 'd/*' 'd/ '
      docker run --rm -v $PWD/d:/d -w /d busybox sh -c 'ls -A | od -An -c | tail -n 6; n=$(printf "y%.0s" $(seq 255)); echo y >$n; touch y$n; mv $n z; touch "$(printf "w\\200")"; mkdir -p a/b; cd a/b; for i in $(seq 20); do mkdir $(printf "%0200d" 1) && cd $(printf "%0200d" 1) || break; done; echo deep >f; pwd | wc -c'
      ls -A d | wc -l; ls d | od -An -c | tail -n 3; find d -name f -size +0 | wc -c`,
  'sparse files, holes, big offsets': `
      mkdir d; truncate -s 3G d/host; printf end | dd of=d/host bs=1 seek=2147483648 conv=notrunc 2>/dev/null
      docker run --rm -v $PWD/d:/d -w /d busybox sh -c 'stat -c %s host; test $(stat -c %b host) -lt 100 && echo sparse; dd if=host bs=1 skip=2147483648 count=3 2>/dev/null; echo; truncate -s 4g mine; dd if=/dev/zero of=mine bs=4k count=1 seek=500000 conv=notrunc 2>/dev/null; fallocate -l 1m full; stat -c "%s" full; truncate -s 10 full; stat -c "%n %s" *'
      stat -c '%n %s' d/*; test $(stat -c %b d/mine) -lt 100 && echo sparse`,
  'what one side changes, the other sees': `
      mkdir d; echo 1 >d/f
      docker run -d --name $c -v $PWD/d:/d busybox sh -c 'exec 3</d/f; sleep 1000' >out
      docker exec $c cat /d/f; echo 2 >>d/f; docker exec $c cat /d/f; echo new >d/tmp; mv d/tmp d/f; docker exec $c cat /d/f
      mkdir -p d/x/y; touch d/x/y/z; docker exec $c find /d | sort; rm -r d/x; docker exec $c ls /d; chmod 600 d/f; docker exec $c stat -c %a /d/f
      docker exec $c sh -c 'rm /d/f; mkdir /d/f; touch /d/f/g'; find d | sort
      docker exec $c sh -c 'echo a >/d/a'; : >d/a; docker exec $c sh -c 'cat /d/a; echo b >>/d/a'; cat d/a`,
  'what is looked at without a pause': `
      mkdir -p d/sub; said() { until docker logs $c 2>&1 | grep -q "$1"; do :; done; }
      docker run -d --name $c -v $PWD/d:/d debian:12 ${python(looker)} >out
      (umask 022; echo first >d/f); said made; chmod 600 d/f; said mode; echo second >d/f; said written; echo another >d/new; mv d/new d/f; said replaced
      echo deep >d/sub/deep; said deep; mv d/sub d/moved; said moved; rm d/f; mkdir d/f; said directory; rm -r d/moved; docker wait $c; docker logs $c; ls d`,
  'a directory of ten thousand names': `
      mkdir d; (cd d; seq -f 'a name that is not short %g' 10000 | xargs -d '\\n' touch)
      docker run --rm -v $PWD/d:/d debian:12 bash -c 'ls -U /d | sort | md5sum; rm /d/*77; ls -U /d | wc -l; find /d -name "*99" | sort | md5sum'
      ls d | wc -l`,
  'the whole of the host stays out of reach': `
      mkdir d outside; echo secret >outside/f; ln -s ../outside d/rel; ln -s $PWD/outside d/abs; ln -s /proc/self/root d/root
      docker run --rm -v $PWD/d:/d -w /d busybox sh -c 'cat rel/f; cat abs/f; ls /d/..  | grep -c bin; cat ../outside/f; echo x >abs; mv /d/rel /outside; readlink /outside; ls root/d'
      ls outside d`,
});

/** Removes the containers that have a label, as testcontainers' reaper does, and tells of the engine's events meanwhile. */
const reaper = `
import http.client, json, socket, sys, urllib.parse
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect('/var/run/docker.sock')
def call(method, path, filters):
    connection = Connection('engine')
    connection.request(method, '/v1.41' + path + 'filters=' + urllib.parse.quote(json.dumps(filters)))
    return connection.getresponse()
label = ['of=' + sys.argv[1]]
events = call('GET', '/events?', {'label': label, 'type': ['container'], 'event': ['destroy']})
found = json.load(call('GET', '/containers/json?all=1&', {'label': label}))
for container in sorted(found, key=lambda container: container['Names']):
    print(call('DELETE', '/containers/' + container['Id'] + '?force=1&v=1&', {}).status)
    print(json.loads(events.readline())['Action'])
print(len(found), json.load(call('GET', '/containers/json?all=1&', {'label': label})))
`;

scriptCases('binds: sockets', {
  "the engine's own, for one that cleans up": `
      docker create --label of=$c busybox >out; docker create --label of=$c -v /anonymous busybox >out; docker create --name $c-other --label of=$c-other busybox >out
      docker run --rm -v "\${DOCKER_HOST#unix://}:/var/run/docker.sock" debian:12 ${python(reaper)} $c
      docker inspect -f '{{.State.Status}}' $c-other`,
});

mainCases('binds: order and neighbours', ['mounts over mounts', 'one directory for two, and twice in one']);
scriptCases('binds: order and neighbours', {
  'mounts over mounts': `
      mkdir -p a/in b c; echo a >a/f; echo b >b/f; echo in >a/in/f; echo c >c/f
      docker run --rm -v $PWD/c:/m/in/deep -v $PWD/b:/m/in -v $PWD/a:/m -v $PWD/a/f:/m/in/file --tmpfs /m/in/tmp -v $c:/m/vol busybox sh -c 'cat /m/f /m/in/f /m/in/deep/f /m/in/file; ls /m /m/in /m/vol; grep -E " /m" /proc/mounts | cut -d" " -f2 | sort'
      find a b c | sort`,
  'over what the engine mounts': `
      echo 'nameserver 192.0.2.1' >r; echo myhost >h; echo '127.0.0.1 mine' >hosts; mkdir shm; touch shm/s
      docker run --rm -v $PWD/r:/etc/resolv.conf -v $PWD/h:/etc/hostname:ro -v $PWD/hosts:/etc/hosts -v $PWD/shm:/dev/shm busybox sh -c 'cat /etc/resolv.conf /etc/hostname /etc/hosts; ls /dev/shm; echo more >>/etc/hosts; touch /etc/hostname'
      cat hosts`,
  'a root that is read only': `
      mkdir d; touch f
      docker run --rm --read-only -v $c:/v -v $PWD/d:/d -v $PWD/f:/f -v /anon --tmpfs /t --mount type=tmpfs,target=/t2,readonly busybox sh -c 'for p in / /v /d /anon /t /t2 /dev/shm /etc; do touch $p/x 2>/dev/null && echo $p; done; echo x >/f; grep -E " (/|/t2) " /proc/mounts | cut -d" " -f2,4 | cut -d, -f1'
      ls d; cat f`,
  'one directory for two, and twice in one': `
      mkdir d
      docker run -d --name $c-a -v $PWD/d:/one -v $PWD/d:/two:ro busybox sleep 1000 >out; docker run -d --name $c-b -v $PWD:/up busybox sleep 1000 >out
      docker exec $c-a sh -c 'echo x >/one/f; cat /two/f; ln /one/f /one/g; ln /one/f /two/h; mv /one/f /two/'
      docker exec $c-b sh -c 'stat -c %h /up/d/f; echo y >>/up/d/g'; docker exec $c-a cat /two/f; rm -r d/*; docker exec $c-a ls /one /two`,
  'a source that is replaced while one of a shared VM is stopped': `
      mkdir d; echo old >d/f
      docker run -d --name $c-a busybox sleep 1000 >out
      docker run -d --name $c --network container:$c-a -v $PWD/d:/d -v $PWD/d/f:/f busybox sleep 1000 >out
      docker exec $c cat /d/f /f; docker stop -t 0 $c; mv d e; mkdir d; echo new >d/f; docker start $c; docker exec $c cat /d/f /f`,
  'a source that is replaced while it is used': `
      mkdir d; echo old >d/f
      docker run -d --name $c -v $PWD/d:/d -v $PWD/d/f:/f busybox sleep 1000 >out; echo o2 >d/f.new; mv d/f.new d/f; mv d e; mkdir d; echo new >d/f
      docker exec $c cat /d/f /f; docker restart -t 0 $c; docker exec $c cat /d/f /f`,
});

mainCases('tmpfs', ['options of --tmpfs']);
scriptCases('tmpfs', {
  'options of --tmpfs': {
    script: `
      docker run --rm --tmpfs /a --tmpfs /b:size=2m,mode=1750,uid=5,gid=6 --tmpfs /c:ro,exec,suid,dev --tmpfs /d:noexec,nr_inodes=10 busybox sh -c '/bin/grep -E "^tmpfs /[abcd] " /proc/mounts | /bin/sort; /bin/stat -c "%n %a %u:%g" /a /b /c /d'
      docker create --name $c --tmpfs /a:size=2m busybox >out; docker inspect -f '{{json .HostConfig.Tmpfs}} {{json .Mounts}}' $c`,
    bothClis: true,
  },
  'of --mount': {
    script: `
      docker run --rm --name $c --mount type=tmpfs,target=/a --mount type=tmpfs,target=/b,tmpfs-size=2m,tmpfs-mode=1750 --mount type=tmpfs,target=/c,readonly busybox sh -c 'grep -E "^tmpfs /[abc] " /proc/mounts | sort; stat -c "%n %a %u:%g" /a /b /c'
      docker create --name $c --mount type=tmpfs,target=/a,tmpfs-size=2m busybox >out; docker inspect -f '{{json .HostConfig.Mounts}} {{json .Mounts}}' $c`,
    bothClis: true,
  },
  'options that are none': `
      create() { docker create --label case=$c "$@"; }
      docker run --rm --tmpfs /a:nonsense busybox true
      docker run --rm --tmpfs /a:nonsense=1 busybox true
      docker run --rm --tmpfs a busybox true
      docker run --rm --tmpfs / busybox true
      create --mount type=tmpfs,source=x,target=/a busybox
      create --mount type=tmpfs,target=a busybox
      create --mount type=tmpfs,target=/a,tmpfs-mode=999 busybox
      create --mount type=tmpfs,target=/a,tmpfs-size=x busybox
      create --mount type=tmpfs,target=/a,volume-nocopy=true busybox`,
  'has the mode of the directory it covers': `
      docker run --rm --tmpfs /etc --tmpfs /root --tmpfs /var:uid=3,gid=4 --tmpfs /new --mount type=tmpfs,target=/tmp busybox stat -c '%n %a %u:%g' /etc /root /var /new /tmp`,
  'is filled up, and is new at each start': `
      docker run --name $c --tmpfs /t:size=1m busybox sh -c 'ls -A /t; dd if=/dev/zero of=/t/f bs=1k count=2000 2>&1 | grep -o "No space.*"; stat -c %s /t/f'
      docker start -a $c`,
});
