// docker cp of whatever a file can be, into and out of containers in every state, their volumes and read-only places; what the
// engine says of a path; and what the sizes of `docker system df` are after all that.

import { sendHttp } from '../../support/wire/http-client';
import { makeTar, type TarItem } from '../../support/images/tar-maker';
import { defineCase, mainCases, scriptCases } from '../harness/cases';
import type { Observation } from '../harness/compare';
import { python } from '../harness/python';

const tarType = { 'Content-Type': 'application/x-tar' };

/** Makes `t`: every kind of file, owner, mode, name and attribute. */
const makeTree = `umask 022; ${python(`
import os
def write(path, data=b'x', mode=0o644, uid=0, gid=0):
    with open(path, 'wb') as f: f.write(data)
    os.chown(path, uid, gid); os.chmod(path, mode)
os.makedirs(b't/d/empty'); os.makedirs(b't/d/group'); os.chown('t/d/group', 5, 6); os.chmod('t/d/group', 0o2750); os.mkdir('t/sticky'); os.chmod('t/sticky', 0o1777)
write('t/suid', b'#!/bin/sh', 0o4751, 1000, 2000); write('t/none', b'', 0); write('t/far', b'y', 0o640, 3000000000, 100000)
write('t/plain', b'#!/bin/sh', 0o751, 1000, 2000); os.link('t/plain', 't/d/hard'); os.symlink('plain', 't/link'); os.symlink('/nowhere/at/all', 't/dangling'); os.symlink('.', 't/self'); os.lchown('t/link', 7, 8)
os.mkfifo('t/fifo'); os.mknod('t/null', 0o020666, os.makedev(1, 3)); os.mknod('t/disk', 0o060640, os.makedev(8, 300000)); os.chmod('t/null', 0o666)
for name in b'n' * 255, b'\\xff\\xfe', b'new\\nline', b' ', b'-rf', '\\u00fc\\u4e2d'.encode(), b'*', b'back\\\\slash': write(b't/d/' + name)
with open('t/sparse', 'wb') as f: f.seek(3000000); f.write(b'end')
write('t/capable'); os.setxattr('t/capable', 'security.capability', bytes.fromhex('0100000200200000000000000000000000000000'))
for path in 't/far', 't/sticky': os.utime(path, ns=(981173106123456789, 981173106123456789))
`)}`;

/** Lists a tree in the order of names: all that is there of each file but the size of directories, and times of this run. */
const lister = `
import hashlib, os, stat, sys
os.chdir(sys.argv[1])
def look(path):
    s = os.lstat(path); kind = stat.S_IFMT(s.st_mode)
    facts = [ascii(path)[1:], '%o' % s.st_mode, '%d:%d' % (s.st_uid, s.st_gid)]
    if kind != stat.S_IFDIR: facts += [s.st_size, 'x%d' % s.st_nlink]
    if s.st_mtime < 1600000000: facts.append(s.st_mtime_ns)
    if kind == stat.S_IFLNK: facts.append(os.readlink(path))
    if s.st_rdev: facts.append((os.major(s.st_rdev), os.minor(s.st_rdev)))
    if kind == stat.S_IFREG: facts.append(hashlib.md5(open(path, 'rb').read()).hexdigest()[:6])
    facts += ['%s=%s' % (name, os.getxattr(path, name, follow_symlinks=False).hex()) for name in os.listxattr(path, follow_symlinks=False)]
    print(*facts)
    if kind == stat.S_IFDIR:
        for name in sorted(os.listdir(path)): look(os.path.join(path, name))
look(b'.')
`;
const list = python(lister);

/** Lists an archive on standard input, in the order of names. */
const listTar = python(`
import sys, tarfile
members = tarfile.open(fileobj=sys.stdin.buffer, mode='r|', errors='surrogateescape')
lines = []
for m in members:
    size = m.size if m.isreg() else ''
    extra = {k: v for k, v in m.pax_headers.items() if k.startswith('SCHILY')}
    lines.append((m.name, '%o' % (m.mode & 0o7777), m.uid, m.gid, m.type.decode(), size, m.linkname, m.mtime if m.mtime < 1600000000 else '', (m.devmajor, m.devminor), extra))
for line in sorted(lines): print(*map(ascii, line))
`);

/** A container of which both python and the tree's places can be had. */
const create = (options: string): string => `docker create --name $c ${options} debian:12 sleep 1000 >out`;

mainCases('copies: every kind of file', ['into one that runs, and out again']);
scriptCases('copies: every kind of file', {
  'into one that runs, and out again': {
    script: `
      ${makeTree}
      docker run -d --name $c debian:12 sleep 1000 >out
      docker cp t $c:/srv; docker exec $c ${list} /srv/t
      docker cp $c:/srv/t - | ${listTar}
      docker cp $c:/srv/t back; ${list} back`,
    bothClis: true,
  },
  'into one that was only created, with their owners, and out again': `
      ${makeTree}
      ${create('')}; docker cp -a t $c:/srv; docker cp $c:/srv/t - | ${listTar}
      docker cp -a $c:/srv/t back; ${list} back
      docker diff $c | LC_ALL=C sort | cat -v
      docker start $c; docker exec $c ${list} /srv/t`,
  'into one that is stopped, and the volume of another': `
      ${makeTree}
      docker run --name $c -v $c:/v debian:12 true; docker cp t $c:/srv; docker cp t $c:/v
      docker cp $c:/srv/t - | ${listTar} | md5sum; docker cp $c:/v/t - | ${listTar}
      docker run --rm -v $c:/w debian:12 ${list} /w`,
});

/** `l`: files of some MB, of sizes that end anywhere in a page, with small ones in between, one mostly a hole. */
const makeLargeFiles = `umask 022; mkdir l; ${python(`
import random
noise = random.Random(7)
for i, size in enumerate([1 << 20, (1 << 20) - 1, (1 << 20) + 1, 2100000, 5, 3 << 20, 777, (4 << 20) + 511, 1500 * 1000]):
    with open('l/%d' % i, 'wb') as f: f.write(noise.randbytes(size))
with open('l/holes', 'wb') as f:
    for at in 100, 5000000, 9000000: f.seek(at); f.write(noise.randbytes(2000001))
`)}`;
/** An archive on standard output: files, links and directories from times that a file system, or nanoseconds in 64 bits, can't hold. */
const oddTimes = python(`
import io, sys, tarfile
out = tarfile.open(fileobj=sys.stdout.buffer, mode='w|', format=tarfile.PAX_FORMAT)
for time in -5364662400, -315619200.5, -1, 0, 4102444800.25, 9223372036, 9251366400, 16725225600:
    for kind in tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.DIRTYPE:
        member = tarfile.TarInfo('%s-%s' % (time, kind.decode())); member.mtime = time; member.type = kind; member.mode = 0o755; member.linkname = 'x' * (kind == tarfile.SYMTYPE)
        out.addfile(member)
out.close()
`);
const sumsOf = (directory: string): string => `sh -c 'cd ${directory}; md5sum *; stat -c "%n %s" *'`;

scriptCases('copies: large files', {
  'over one another, into one that runs, is stopped, and a volume': `
      ${makeLargeFiles}
      docker run -d --name $c -v $c:/v busybox sleep 1000 >out
      docker cp l $c:/srv; docker exec $c ${sumsOf('/srv')}; docker cp l $c:/v; docker exec $c ${sumsOf('/v/l')}
      cd l; for f in *; do mv $f ../x; head -c 1100000 ../x >$f; done; cd ..; tar -cS l | docker cp - $c:/; docker exec $c ${sumsOf('/l')}
      docker cp l/. $c:/srv; docker exec $c ${sumsOf('/srv')}
      docker kill $c; docker cp l/. $c:/v/l; tail -c 1050001 l/holes >l/3; docker cp l $c:/; docker cp $c:/l - | tar -xO | md5sum
      docker start $c; docker exec $c ${sumsOf('/l')}; docker exec $c ${sumsOf('/v/l')}`,
});

scriptCases('copies: meanwhile', {
  'a container that is killed while it is read': `
      docker run -d --name $c busybox sh -c 'head -c 30000000 /dev/zero >/big; touch /ready; sleep 1000' >out; wait_for docker exec $c test -e /ready
      docker cp $c:/big - | { dd bs=1 count=512 of=head 2>/dev/null; docker kill $c >killed & cat; wait; } | wc -c; docker wait $c`,
  'files that come and go': `
      docker run -d --name $c busybox sh -c 'mkdir /d; touch /d/stays; while :; do for i in 1 2 3 4 5 6 7 8 9; do mkdir /d/$i; : >/d/$i/f; ln -s x /d/$i/l; ln /d/$i/f /d/$i/h; done; rm -r /d/?; done' >out; wait_for docker exec $c test -e /d/stays
      for i in 1 2 3 4 5; do docker cp $c:/d - | tar -t | grep stays; docker export $c | tar -t | grep stays; done`,
  'what follows the end of an archive': `
      docker create --name $c busybox >out; echo x >f; tar -cf f.tar f; head -c 5000000 /dev/urandom >noise
      for how in 'cat f.tar noise' 'cat noise f.tar' 'gzip -c f.tar'; do $how | docker cp - $c:/tmp; echo $?; done
      { cat f.tar; head -c 5000000 /dev/zero; } | docker cp - $c:/; echo $?; { cat f.tar; head -c 5000000 /dev/zero; } | gzip | docker cp - $c:/srv; echo $?
      { cat f.tar noise | gzip | head -c 2000000; } | docker cp - $c:/; echo $?
      docker cp $c:/f -| tar -t`,
});

mainCases('copies: options and places', [
  'links that are followed, on either side',
  'a root that is read only',
  'what cannot be copied where it should',
]);
scriptCases('copies: options and places', {
  'times before 1970 and after 2262': `
      docker run -d --name $c busybox sleep 1000 >out; docker exec $c mkdir /t
      ${oddTimes} | docker cp - $c:/t; docker exec $c sh -c 'cd /t; for f in *; do echo "$f" $(stat -c "%Y %y" -- "$f"); done'
      docker cp $c:/t - | ${listTar} | tail -n +2`,
  'files that are mounted': `
      echo x >x; docker run -d --name $c -v $PWD/x:/file busybox sleep 1000 >out
      for to in /etc/hosts /etc/resolv.conf /file; do docker cp x $c:$to; docker cp $c:$to - | tar -t; done`,
  'links that are followed, on either side': {
    script: `
      mkdir d; echo f >d/f; ln -s d dirlink; ln -s d/f filelink; ln -s none dangling
      docker run -d --name $c busybox sleep 1000 >out
      docker cp dirlink $c:/tmp; docker cp -L dirlink $c:/tmp/real; docker cp filelink $c:/tmp; docker cp -L filelink $c:/tmp/file; docker cp dirlink/ $c:/tmp/slash; docker cp dirlink/. $c:/tmp/dot; docker cp -L dangling $c:/tmp; docker cp dangling $c:/tmp
      docker exec $c sh -c 'cd /tmp; find * | sort | while read p; do stat -c "%N %F" $p; done'
      docker cp $c:/tmp/dirlink . 2>&1 | tail -n 1; docker cp -L $c:/tmp/filelink got; docker exec $c sh -c 'cd /tmp; rm dirlink filelink; ln -s real dirlink; ln -s real/f filelink'; docker cp $c:/tmp/dirlink copy; docker cp -L $c:/tmp/dirlink followed; docker cp -L $c:/tmp/filelink .; docker cp $c:/tmp/dirlink/. dotted; docker cp $c:/tmp/dirlink/f single
      find . ! -name out | sort | while read p; do stat -c '%N %F' "$p"; done`,
    bothClis: true,
  },
  'places that are links, and what is mounted, in one that was never started': `
      mkdir b; echo x >x
      ${create('-v $c:/vol -v $PWD/b:/bind -v $PWD/b:/ro:ro')}
      for p in /vol /bind /ro /bin /tmp/../srv /lib64/../bin/ /none/ /etc/passwd/; do docker cp x $c:$p && echo to $p; done
      for p in /vol/x /bind/x /ro/x /bin/x /usr/bin/x /srv/x; do docker cp $c:$p - 2>&1 | tar -xO 2>/dev/null | wc -c; done
      ls b; docker run --rm -v $c:/w busybox ls /w
      docker start $c >out; docker exec $c ls /vol /bind`,
  'a root that is read only': `
      echo x >x; docker create --name $c --read-only -v $c:/v --tmpfs /t busybox sleep 1000 >out
      docker cp x $c:/; docker cp x $c:/v; docker cp x $c:/etc/x; docker cp $c:/etc/group - | tar -t
      docker start $c; docker cp x $c:/; docker cp x $c:/t; docker cp x $c:/v/y; docker cp $c:/v - | tar -t | sort; docker kill $c
      docker cp x $c:/; docker cp x $c:/v/z; docker start $c; docker exec $c ls /v`,
  'what cannot be copied where it should': `
      docker run -d --name $c busybox sh -c 'mkdir -p /a/d; echo f >/a/f; ln -s /none/there /a/l; sleep 1000' >out; wait_for docker exec $c readlink /a/l; echo x >x; mkdir dir
      for to in /a/f/ /a/f/x /a/none/ /a/none/x /a/l /a/d/. ''; do docker cp x $c:$to; docker cp dir $c:$to; done
      for from in /a/none/ /a/l/ /a/l/. /a/d/../f; do docker cp $c:$from - 2>&1 >o | sed 's/^Error response from daemon: //'; tar -tf o 2>/dev/null; done
      docker cp $c:/a/f dir/none/; docker cp $c:/a/d x; docker cp $c:/a $c:/b; docker cp x $c; docker cp - - 2>&1 | head -n 1; docker exec $c find /a | sort`,
});

/** A member of an archive of which only the name and type tell. */
const member = (name: string, type: string, link = ''): TarItem => ({ name, type, link });
const puts: Record<string, [string, Buffer]> = {
  'a directory over a file': ['path=/d&noOverwriteDirNonDir=1', makeTar([member('f', '5')])],
  'a file over a directory': ['path=/d&noOverwriteDirNonDir=true', makeTar([member('e', '0')])],
  'both, unless it is asked for': ['path=/d', makeTar([member('f', '5'), member('e', '0')])],
  'a link to a neighbour of like name': ['path=/d', makeTar([member('near', '2', '../d-more/x')])],
  'a link to another neighbour': ['path=/d', makeTar([member('far', '2', '../other/x')])],
  'a directory of the oldest format': ['path=/d', makeTar([member('old/', '\0')])],
  'a place that is a file': ['path=/d/plain', makeTar([member('x', '0')])],
  'no place': ['path=/nowhere', makeTar([member('x', '0')])],
  'nothing at all': ['path=/d', Buffer.alloc(0)],
};
const ground = makeTar([
  { name: 'd/', type: '5', mode: 0o755 },
  { name: 'd/f', data: 'f' },
  { name: 'd/plain', data: 'p' },
  { name: 'd/e/', type: '5', mode: 0o755 },
]);

defineCase('copies', 'PUT archive and its parameters', JSON.stringify(puts), async (host, name) => {
  const created = await sendHttp(host, {
    method: 'POST',
    path: `/v1.41/containers/create?name=${name}`,
    body: { Image: 'busybox', User: '12:34', Cmd: ['sh', '-c', 'cd /d; stat -c "%n %F %a %u:%g" *'] },
  });
  const put = async (query: string, body: Buffer): Promise<object> => {
    const path = `/v1.41/containers/${name}/archive?${query}`;
    const reply = await sendHttp(host, {
      method: 'PUT',
      path,
      body,
      headers: tarType,
    });
    return { status: reply.status, body: reply.body };
  };
  const seen = [
    { label: 'ground', value: { created: created.status, put: await put('path=/', ground) } as object },
  ];
  for (const [label, [query, body]] of Object.entries(puts))
    seen.push({ label, value: await put(query, body) });
  for (const step of ['start', 'wait'])
    await sendHttp(host, { method: 'POST', path: `/v1.41/containers/${name}/${step}` });
  const logs = await sendHttp(host, {
    method: 'GET',
    path: `/v1.41/containers/${name}/logs?stdout=1&stderr=1`,
  });
  seen.push({
    label: 'tree',
    value: { lines: logs.body.split('\n').map((line) => line.replace(/^[\0-\x1f].{7}/s, '')) },
  });
  return seen;
});

const statPaths = {
  running:
    '/ /. /etc/passwd /etc/passwd/ /bin /bin/ /bin/. /bin/busybox /dev/null /t /t/suid /t/sticky /t/group /t/fifo /t/null /t/link /t/link/ /t/absolute /t/dangling /t/dirlink /t/dirlink/ /t/dirlink/. /t/loop /t/up /t/./x/../suid t/suid /t/none /t/suid/x',
  created: '/ /t/suid /t/group/ /t/fifo /t/link /t/dirlink/. /t/none /dev',
  exited: '/ /t/suid /t/group/ /t/fifo /t/link /t/dirlink/. /t/none',
};
const statGround = makeTar([
  { name: 't/', type: '5', mode: 0o755 },
  { name: 't/suid', data: 'data', mode: 0o6755 },
  { name: 't/sticky/', type: '5', mode: 0o1777 },
  { name: 't/group/', type: '5', mode: 0o2750 },
  { name: 't/fifo', type: '6' },
  { name: 't/null', type: '3', device: [1, 3], mode: 0o666 },
  { name: 't/link', type: '2', link: 'suid' },
  { name: 't/absolute', type: '2', link: '/etc/passwd' },
  { name: 't/dangling', type: '2', link: 'no/where' },
  { name: 't/dirlink', type: '2', link: 'sticky' },
  { name: 't/loop', type: '2', link: 'loop' },
  { name: 't/up', type: '2', link: '../../../../etc' },
]);

/** What `X-Docker-Container-Path-Stat` says, without the size of directories, which file systems count differently. */
function pathStat(header: string | undefined): unknown {
  if (header === undefined) return header;
  // the engine's own JSON
  const { size, mtime, ...stat } = JSON.parse(Buffer.from(header, 'base64').toString()) as {
    mode: number;
    size: number;
    mtime: string;
  };
  const isDirectory = stat.mode >= 0x80000000;
  return {
    ...stat,
    size: isDirectory ? typeof size : size,
    mtime: mtime.startsWith('2023') ? mtime : typeof mtime,
  };
}

for (const [state, paths] of Object.entries(statPaths)) {
  defineCase('copies', `what a path is, of one that is ${state}`, paths, async (host, name) => {
    const send = (method: string, path: string, body?: object): ReturnType<typeof sendHttp> =>
      sendHttp(host, {
        method,
        path: `/v1.41/containers/${path}`,
        ...(Buffer.isBuffer(body) ? { headers: tarType } : {}),
        ...(body === undefined ? {} : { body }),
      });
    const create = { Image: 'busybox', Cmd: ['sleep', state === 'exited' ? '0' : '1000'] };
    await send('POST', `create?name=${name}`, create);
    const put = await send('PUT', `${name}/archive?path=/`, statGround);
    if (state !== 'created') await send('POST', `${name}/start`);
    if (state === 'exited') await send('POST', `${name}/wait`);
    const seen: Observation[] = [{ label: 'PUT', value: put.status }];
    for (const path of paths.split(' ')) {
      const head = await send('HEAD', `${name}/archive?path=${path}`);
      seen.push({
        label: path,
        value: { status: head.status, stat: pathStat(head.headers['x-docker-container-path-stat']) },
      });
    }
    return seen;
  });
}
