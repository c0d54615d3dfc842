// docker cp, diff, export and commit: what goes in and out of a container's file system.

import { httpCases, mainCases, scriptCases } from '../harness/cases';

/** Lists an archive: type, mode, owner, size, name and target, in order of names. */
const list = `tar -tv --numeric-owner | awk '{print $1, $2, ($1 ~ /^d/ ? "-" : $3), $6, $7, $8}' | sort -k4`;
/** A container with a bit of everything below /data, in the state that the case wants. */
const make = `docker run -d --name $c busybox sh -c 'mkdir -p /data/sub/deep /data/empty; echo one >/data/one; echo two >/data/sub/two; \\
    ln -s one /data/link; ln -s /data/sub /data/dirlink; ln -s /nowhere /data/dangling; ln /data/one /data/hard; \\
    ln -s ./ü//x /data/dot; ln /data/dot /data/dot-hard; mkfifo /data/fifo; ln /data/fifo /data/fifo-hard; mknod /data/null c 1 3; chmod 4755 /data/one; chmod 1777 /data/empty; chown 12:34 /data/sub/two; touch /ready; sleep 1000'
    until docker exec $c test -e /ready; do :; done`;

mainCases('cp: out of a container', [
  'a directory, as a stream',
  'one file, a link, what it leads to',
  'what is not there',
  'a container that is stopped, one that is created, one that is paused',
]);
scriptCases('cp: out of a container', {
  'a directory, as a stream': {
    script: `${make}
      docker cp $c:/data - | ${list}
      docker cp $c:/data/. - | ${list}
      docker cp $c:/data/sub/ - | ${list}`,
    bothClis: true,
  },
  'one file, a link, what it leads to': `${make}
      docker cp $c:/data/one - | ${list}
      docker cp $c:/data/link - | ${list}
      docker cp -L $c:/data/link - | ${list}
      docker cp -L $c:/data/dirlink - | ${list}
      docker cp $c:/data/dirlink/two - | ${list}
      docker cp $c:/data/dangling - | ${list}
      docker cp -L $c:/data/dangling - >out; echo $?`,
  'to files and directories of the host': `${make}
      docker cp $c:/data/one ./copy && cat copy && stat -c '%a' copy
      mkdir there && docker cp $c:/data/sub there && find there | sort
      docker cp $c:/data/sub new && find new | sort
      docker cp $c:/data/sub/. there && find there | sort
      docker cp $c:/data/one there/ && docker cp $c:/data/sub copy
      docker cp $c:/data/one missing/dir/file`,
  'what is not there': `${make}
      docker cp $c:/no/such/file -  >out; cat out
      docker cp no-such-container:/x - >out
      docker cp $c: - >out
      docker cp $c:/x $c:/y`,
  'a container that is stopped, one that is created, one that is paused': `${make}
      docker pause $c && docker cp $c:/data/sub - | ${list}
      docker inspect -f '{{.State.Status}}' $c
      docker unpause $c && docker kill $c && docker wait $c
      docker cp $c:/data/sub - | ${list}
      docker start $c && docker exec $c cat /data/sub/two
      docker create --name $c-made busybox && docker cp $c-made:/bin/sh - | ${list}`,
});

mainCases('cp: into a container', [
  'files and directories',
  'archives that are hostile, cut or none',
  'before the first start, and after the end',
  'a volume, and what is read-only',
]);
scriptCases('cp: into a container', {
  'files and directories': {
    script: `${make}
      echo in >in.txt; mkdir -p tree/a && echo leaf >tree/a/leaf && ln -s a/leaf tree/link && chmod 640 tree/a/leaf && chmod 700 tree/a
      docker cp in.txt $c:/data/ && docker cp in.txt $c:/data/renamed && docker cp tree $c:/data && docker cp tree/. $c:/data/merged
      docker cp tree $c:/new && docker exec $c sh -c 'cd /; find data/in.txt data/renamed data/tree data/merged new | sort | xargs ls -ld' | awk '{print $1, $3, $4, $9, $10, $11}'`,
    bothClis: true,
  },
  'over what is there': `${make}
      echo in >in.txt; mkdir tree && echo x >tree/x
      docker cp in.txt $c:/data/one && docker exec $c cat /data/one
      docker cp in.txt $c:/data/link && docker exec $c cat /data/one
      docker cp tree $c:/data/one
      docker cp in.txt $c:/data/empty && docker exec $c ls /data/empty
      docker cp in.txt $c:/no/such/dir/file
      docker cp in.txt $c:/data/one/file
      docker cp no-such-file $c:/`,
  'from a stream': `${make}
      mkdir s && echo s >s/s && tar --owner=5 --group=6 --numeric-owner -cf s.tar s
      docker cp - $c:/data <s.tar && docker exec $c stat -c '%u:%g %n' /data/s /data/s/s
      docker cp - $c:/data/one <s.tar
      docker cp - $c:/not/there <s.tar
      gzip s.tar && docker cp - $c:/data/empty <s.tar.gz && docker exec $c find /data/empty`,
  'archives that are hostile, cut or none': `
      docker run -d --name $c busybox sh -c 'mkdir /d; touch /ready; sleep 1000'; until docker exec $c test -e /ready; do :; done
      echo x >f; tar -cf f.tar f; tar -P --transform 's,f,../../f,' -cf up.tar f; ln -s ../../etc up; tar -cf link.tar up; mkdir -m 700 own; tar -C own -cf own.tar .
      docker cp - $c:/d <up.tar
      docker cp - $c:/d <link.tar
      docker cp - $c:/d <own.tar && docker exec $c stat -c %a /d
      head -c 512 f.tar | docker cp - $c:/d
      head -c 700 f.tar | docker cp - $c:/d && docker exec $c cat /d/f
      gzip <f.tar | head -c 60 | docker cp - $c:/d
      head -c 5000 /dev/zero | tr '\\0' x | docker cp - $c:/d
      docker exec $c mkdir /d/e; echo x >e; head -c 200000 /dev/urandom >noise; tar -c e noise | gzip | head -c 150000 | docker cp - $c:/d
      docker exec $c ls /d`,
  'extended attributes': `
      docker run -d --name $c debian:12 sleep 1000
      python3 -c 'import io, tarfile; entry = tarfile.TarInfo("f"); entry.pax_headers = {"SCHILY.xattr.user.color": "blue"}; tar = tarfile.open("x.tar", "w", format=tarfile.PAX_FORMAT); tar.addfile(entry); tar.close()'
      docker cp - $c:/srv <x.tar
      docker exec $c python3 -c 'import os; print(os.getxattr("/srv/f", "user.color"))'`,
  'before the first start, and after the end': `
      echo early >early
      docker create --name $c busybox cat /early && docker cp early $c:/ && docker start -a $c
      echo late >early && docker cp early $c:/ && docker start -a $c`,
  'a volume, and what is read-only': `
      echo v >v
      docker run -d --name $c -v $c:/vol -v $c:/ro:ro --read-only busybox sleep 1000
      docker cp v $c:/vol/ && docker exec $c cat /vol/v /ro/v
      docker cp v $c:/ro/ 
      docker cp v $c:/
      docker kill $c >out && docker cp $c:/vol/v - | ${list}
      docker volume rm -f $c >out; docker rm -fv $c >out; docker volume rm $c`,
});

mainCases('diff, export and commit', [
  'diff',
  'export',
  'commit',
  'commit with changes',
  'commit while it runs',
]);
scriptCases('diff, export and commit', {
  diff: `
      docker run --name $c configured sh -c 'echo x >/new; mkdir -p /dir/sub; echo y >/dir/sub/file; rm -f /etc/passwd; chmod 700 /tmp; echo >>/etc/group'
      docker diff $c | sort -k2
      docker create --name $c-made busybox && docker diff $c-made`,
  'diff: of one that was never started, with mounts': `
      docker create --name $c-mounts -v /vol -v $c-v:/dir/deep -v $PWD:/usr/there --tmpfs /tt -w /work/dir busybox && docker diff $c-mounts | sort -k2`,
  'diff of one that runs': `${make}
      docker diff $c | sort -k2`,
  'diff of links that became directories': `
      docker run --name $c debian:12 /usr/bin/perl -e 'for (["/bin", "x"], ["/var/run", "y"], ["/lib64", ""]) { my ($path, $name) = @$_; unlink $path; mkdir $path; open my $f, ">", "$path/$name" if $name }'
      docker diff $c | sort -k2`,
  export: `
      docker run --name $c busybox sh -c 'echo x >/new; rm /bin/vi; mkdir /tmp/d'
      docker export $c | tar -t | grep -E '^(new|bin/vi|bin/sh|tmp|etc/hosts|etc/hostname|etc/resolv.conf|\\.dockerenv|proc|sys|dev)' | sort
      docker export no-such-container
      docker export -o out.tar $c && tar -xOf out.tar new`,
  commit: {
    script: `
      docker run --name $c -e A=1 -w /tmp -l own=label busybox sh -c 'echo data >/data; rm /bin/vi; mkdir /bin/opq'
      docker commit -a 'An Author <a@example.org>' -m 'a message' $c $c:one | cut -c1-7
      docker run --rm $c:one sh -c 'cat /data; ls /bin/vi; ls -d /bin/opq'
      docker inspect -f '{{json .Author}} {{json .Comment}} {{json .Config.Cmd}} {{json .Config.Env}} {{json .Config.Labels}} {{.Config.WorkingDir}} {{len .RootFS.Layers}}' $c:one
      docker history --format '{{.CreatedBy}}|{{.Comment}}' $c:one | head -1
      docker rmi $c:one | cut -c1-9`,
    bothClis: true,
  },
  'commit with changes': `
      docker create --name $c busybox
      docker commit -c 'CMD ["echo","changed"]' -c 'ENV X=y' -c 'EXPOSE 80' -c 'LABEL a=b' -c 'USER nobody' $c $c >out && docker run --rm $c
      docker inspect -f '{{json .Config.Env}} {{json .Config.ExposedPorts}} {{json .Config.Labels}} {{.Config.User}} {{len .RootFS.Layers}}' $c
      docker commit -c 'RUN true' $c $c
      docker commit -c 'NONSENSE' $c $c
      docker commit $c UPPER
      docker commit no-such-container $c`,
  'two commits at once': `
      docker run -d --name $c busybox sh -c 'echo x >/x; sleep 1000' >out; wait_for docker exec $c test -e /x
      for i in 1 2 3; do docker commit $c $c:a >a & docker commit $c $c:b >b & wait; done; cut -c1-7 a b; docker run --rm $c:b cat /x; docker inspect -f '{{.State.Status}}' $c`,
  'commit while it runs': `${make}
      docker commit $c $c >out && docker inspect -f '{{.State.Status}}' $c
      docker commit --pause=false $c $c >out
      docker run --rm $c sh -c 'cat /data/sub/two; readlink /data/link; stat -c "%a %F" /data/one /data/fifo /data/null /data/empty; stat -c %u:%g /data/sub/two'`,
});

/** Headers of an archive as they are: type, mode with the type's bits, owners' names, capabilities. */
const headers = `python3 -c 'import sys, tarfile; print(*sorted(str((entry.name, entry.type, oct(entry.mode), entry.uname, entry.gname, entry.linkname, entry.pax_headers.get("SCHILY.xattr.security.capability"))) for entry in tarfile.open(fileobj=sys.stdin.buffer, mode="r|") if "odd" in entry.name), sep="\\n")'`;
const oddFiles = `import os, struct; os.mkdir("/odd"); os.mkfifo("/odd/fifo"); os.symlink("fifo", "/odd/link"); os.mknod("/odd/null", 0o20600, 0x103); capable = lambda name, *value: (open(name, "w"), os.setxattr(name, "security.capability", struct.pack("<%dI" % len(value), *value)), os.link(name, name + "-too")); capable("/odd/two", 0x2000001, 1024, 0, 0, 0); capable("/odd/three", 0x3000001, 1024, 0, 0, 0, 1000)`;

scriptCases('odd trees', {
  'in an archive: headers, capabilities of hard links and of another user namespace': `
      docker run --name $c debian:12 python3 -c '${oddFiles}'
      docker export $c | ${headers}
      docker cp $c:/odd - | ${headers}
      docker commit $c $c >out && docker run --rm $c getcap -nr /odd | sort
      mkdir image && docker save $c | tar -xC image && cat image/$(grep -o '[0-9a-f]*/layer.tar' image/manifest.json | tail -1) | ${headers}`,
  'names of 255 bytes, removed in a layer': `
      docker run --name $c busybox sh -c 'n=$(printf "%0255d" 7); mkdir /odd /odd/$n; echo x >/odd/$n/$n; echo y >/odd/$n/stays'
      docker commit $c $c >out && docker rm $c >out
      docker run --name $c $c sh -c 'rm /odd/*/0*; ls /odd/* | wc -c' && docker commit $c $c >out
      docker run --rm $c sh -c 'ls /odd/*; ls /odd | wc -c'`,
});

httpCases('archive: requests', {
  'without a path, of nobody': [
    'GET /containers/$c/archive',
    'HEAD /containers/$c/archive?path=/x',
    'GET /containers/$c/archive?path=/x',
    'GET /containers/$c/export',
    'GET /containers/$c/changes',
    { request: 'PUT /containers/$c/archive?path=/', headers: { 'Content-Type': 'application/x-tar' } },
    'POST /commit?container=$c',
  ],
});

scriptCases('files: sparse archives', {
  'of GNU tar, in PAX records': `
    truncate -s 1M s && printf abc | dd of=s bs=1 seek=500000 conv=notrunc status=none
    docker run -d --name $c busybox sleep 1000 | wc -c
    for v in 0.0 0.1 1.0; do tar --sparse --sparse-version=$v --format=pax -cf - s | docker cp - $c:/tmp; docker exec $c sh -c 'md5sum /tmp/s; rm /tmp/s'; done
    tar --sparse --format=gnu -cf - s | docker cp - $c:/tmp`,
});
