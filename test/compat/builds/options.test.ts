// docker build: options of the command line, contexts that are no directory, instructions that look at the whole build, and
// images that go from one engine to the other.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

import { httpCases, mainCases, scriptCases, sdkCases } from '../harness/cases';

/** What a build says of ids is in the other files; here only of what it did. */
const brief = `grep -vE '^ ---> [0-9a-f]{12}|Removing intermediate|Successfully built|Sending build context|^$|DEPRECATED|BuildKit|environment-variable'`;
const registry = '127.0.0.1:5000';

/** Closes the connection of an answer that is not wanted any more; dockerode's types know no more of it than that it can be read. */
function stopReading(answer: NodeJS.ReadableStream & { destroy?: () => void }): void {
  answer.destroy?.();
}

scriptCases('build: cache', {
  '--no-cache, --cache-from, an image that is no parent': `
    printf "FROM busybox\\nENV a=$c\\nRUN echo $c >/one\\nRUN echo two >/two\\n" >Dockerfile
    docker build -q -t $c:one . | cut -c 1-7
    docker build . | grep -c 'Using cache'
    docker build --no-cache . | grep -c 'Using cache'
    docker build --cache-from $c:one . | grep -c 'Using cache'
    docker build --cache-from busybox . | grep -c 'Using cache'
    docker build --cache-from none:here . | grep -c 'Using cache'
    printf "FROM busybox\\nENV a=$c\\nRUN echo $c >/one\\nRUN echo three >/two\\n" >Dockerfile
    docker build --cache-from $c:one . | grep -c 'Using cache'`,
  'an argument that a step does not use': `
    printf "FROM busybox\\nENV n=$c\\nARG v\\nRUN echo \\$v >/v; cat /v\\nARG later=1\\nRUN true\\n" >Dockerfile
    docker build --build-arg v=1 . | ${brief}
    docker build --build-arg v=1 --build-arg later=2 . | ${brief}
    docker build --build-arg v=2 . | grep -c 'Using cache'`,
});

mainCases('build: options', [
  '--target by name and number, stages that are not needed',
  'ARG before FROM',
  'limits of each step',
]);
scriptCases('build: options', {
  '--target by name and number, stages that are not needed': `
    printf 'FROM busybox AS One\\nENV s=1\\nFROM busybox AS two\\nENV s=2\\nFROM one\\nENV t=3\\n' >Dockerfile
    for t in one ONE two 0 three; do docker build -q --target $t -t $c . 2>&1 | cut -c 1-60 | sed 's/[0-9a-f]\\{12,\\}/ID/'; docker image inspect -f '{{json .Config.Env}}' $c; done`,
  'ARG before FROM': `
    printf 'ARG base=busybox\\nARG unset\\nARG both=outer\\nFROM \${base:-none} AS a\\nRUN echo "[$base] [$both]"\\nFROM $base\\nARG base\\nARG both=inner\\nRUN echo "[$base] [$both]"\\nFROM \${unset:-busybox}\\n' >Dockerfile
    docker build --no-cache . | ${brief}
    docker build --no-cache --build-arg both=given --build-arg base=busybox:latest . | ${brief}`,
  '--platform, --pull, --isolation': `
    printf "FROM ${registry}/busybox\\nENV a=$c\\n" >Dockerfile
    docker build --platform linux/amd64 -t $c . | ${brief} && docker image inspect -f '{{.Os}}/{{.Architecture}}' $c
    docker build -q --pull . | cut -c 1-7
    docker build --platform windows . 2>&1 | tail -1
    printf "FROM --platform=linux/amd64 ${registry}/busybox\\nENV a=$c\\n" >Dockerfile
    docker build -q . | cut -c 1-7
    docker build --isolation hyperv . 2>&1 | tail -1
    docker build --security-opt x=y . 2>&1 | tail -1`,
  'limits of each step': `
    printf 'FROM busybox\\nRUN cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; ulimit -n; grep -c $c /etc/hosts; ls /sys/class/net | grep -v eth\\nUSER 7\\nRUN id -u; ulimit -n\\n' >Dockerfile
    docker build --no-cache --memory 128m --memory-swap 128m --cpu-shares 100 --ulimit nofile=77:88 --add-host $c:1.2.3.4 . | ${brief}
    docker build --ulimit x . 2>&1 | tail -1
    docker build --network no-such-network . 2>&1 | tail -1
    docker build --add-host bad . 2>&1 | tail -1`,
  'a network by its name': `
    docker network create $c >/dev/null
    printf 'FROM busybox\\nRUN ls /sys/class/net | grep -c eth\\nRUN ls /sys/class/net | grep -c eth\\n' >Dockerfile
    docker build --no-cache --network $c . | ${brief}
    docker network inspect -f '{{len .Containers}}' $c`,
  '--rm=false leaves the containers': `
    printf "FROM busybox\\nLABEL case=$c\\nRUN echo $c >/f\\nRUN cat /f\\n" >Dockerfile
    docker build -q --rm=false -t $c . | cut -c 1-7
    docker ps -a --filter label=case=$c --format '{{.Command}} {{.Status}}' | sed 's/) .*/)/' | sort
    docker diff $(docker ps -aq --filter label=case=$c --filter status=exited | tail -1)
    docker rm $(docker ps -aq --filter label=case=$c) | wc -l`,
  'a step that leaves processes and files in memory behind': `
    printf 'FROM busybox\\nRUN sleep 1000 & touch /dev/shm/x /tmp/y; echo started\\nRUN ls /dev/shm /tmp; ps | grep -c sleep.1000\\n' >Dockerfile
    docker build --no-cache . | ${brief}`,
});

scriptCases('build: contexts', {
  'Dockerfile and archives on standard input': `
    mkdir sub && echo f >f && echo s >sub/s && printf 'FROM busybox\\nCOPY . /c/\\nRUN find /c | sort\\n' >D
    docker build --no-cache -f - . <D | ${brief}
    tar -c f sub | gzip >../$c.tgz; cp D Dockerfile; tar -cz f sub Dockerfile | docker build --no-cache - | ${brief}
    tar -cJ f D | docker build --no-cache -f D - | ${brief}
    tar -c f | docker build - 2>&1 | tail -1
    printf 'not a Dockerfile' | docker build - 2>&1 | tail -1
    printf '' | docker build - 2>&1 | tail -1
    docker build -f sub/none . 2>&1 | tail -1; rm ../$c.tgz`,
  URLs: {
    script: `
    docker build http://${registry}/none.tar 2>&1 | tail -1
    docker build nope://x/y 2>&1 | tail -1
    printf 'FROM busybox\\nADD http://${registry}/v2/ /got/\\nADD http://${registry}/v2/ /named\\nRUN cat /got/* /named; stat -c "%%a %%u %%g" /named\\n' >Dockerfile
    docker build --no-cache . 2>&1 | ${brief}
    printf 'FROM busybox\\nADD http://${registry}/ /got/\\n' >Dockerfile; docker build . 2>&1 | tail -1`,
    bothClis: true,
  },
  'broken archives': `
    printf 'FROM busybox\\n' >Dockerfile; head -c 3000 /dev/zero >x; tar -cf ../$c.tar Dockerfile x
    head -c 2000 ../$c.tar | docker build - 2>&1 | tail -1
    head -c 9000 /dev/urandom >x; tar -cf ../$c.tar Dockerfile x
    for tool in gzip bzip2 xz; do $tool <../$c.tar >../$c.packed; for n in 30 60; do head -c $n ../$c.packed | docker build - 2>&1 | tail -1; done; printf 'neither' | $tool | docker build - 2>&1 | tail -1; done
    gzip <../$c.tar | head -c 5000 | docker build - 2>&1 | tail -1
    rm ../$c.tar ../$c.packed`,
  '.dockerignore': `
    mkdir -p a/b c/node_modules/x d && touch a/b/keep a/b/drop.log a/top.log c/node_modules/x/y c/z d/.hidden .env README.md && echo x >'sp ace'
    printf '# comment\\n*.md\\n**/*.log\\n!a/b/drop.log\\n**/node_modules\\nd/.*\\n.env\\n/c/z\\n' >.dockerignore
    printf 'FROM busybox\\nCOPY . /c/\\nRUN find /c | sort\\n' >Dockerfile && docker build --no-cache . | ${brief}
    printf '*\\n!a\\na/b\\n' >.dockerignore && docker build --no-cache . | ${brief}
    printf '[\\n' >.dockerignore && docker build . 2>&1 | tail -1`,
});

mainCases('build: instructions', [
  'SHELL, ONBUILD, HEALTHCHECK, STOPSIGNAL',
  'COPY by globs, owners by name, from stages and images',
  'variables',
]);
scriptCases('build: instructions', {
  'SHELL, ONBUILD, HEALTHCHECK, STOPSIGNAL': `
    printf 'FROM busybox\\nSHELL ["/bin/sh","-fc"]\\nRUN echo *\\nONBUILD ARG x=1\\nONBUILD COPY f /onbuild/\\nONBUILD RUN cat /onbuild/f; echo $x\\nHEALTHCHECK --interval=1m --timeout=3s --start-period=2s --retries=4 CMD ["a","b"]\\nSTOPSIGNAL SIGUSR1\\nCMD x\\n' >Dockerfile
    docker build --no-cache -t $c . 2>&1 | ${brief}
    docker image inspect -f '{{json .Config.Shell}} {{json .Config.OnBuild}} {{json .Config.Healthcheck}} {{.Config.StopSignal}} {{json .Config.Cmd}}' $c
    echo data >f; printf "FROM $c\\nHEALTHCHECK NONE\\nSTOPSIGNAL 12\\n" >Dockerfile; docker build --no-cache -t $c:next . 2>&1 | ${brief}
    docker image inspect -f '{{json .Config.OnBuild}} {{json .Config.Healthcheck}} {{.Config.StopSignal}}' $c:next`,
  'COPY by globs, owners by name, from stages and images': `
    mkdir d && touch a1 a2 ab b1 'a?' d/x && printf 'FROM busybox AS src\\nRUN echo joe:x:77:77::/:/bin/sh >>/etc/passwd; mkdir /s; echo 1 >/s/f; ln -s f /s/l; chown -R joe /s\\nFROM busybox\\nRUN echo joe:x:88:88::/:/bin/sh >>/etc/passwd; echo team:x:99: >>/etc/group\\nCOPY --chown=joe:team a[12] /g/\\nCOPY --chown=joe a\\\\? /q/\\nCOPY --chown=5 --from=src /s/ /t/\\nCOPY --from=0 /s/l /u\\nCOPY --from=busybox /etc/passwd /p\\nRUN cd /; stat -c "%%n %%U %%G %%F" g/* q/* t/* u p\\n' >Dockerfile
    docker build --no-cache . | ${brief}`,
  'what lines and paths may look like': `
    printf 'FROM busybox\\nENV a=b  \\nWORKDIR /tmp//\\nEXPOSE 80/  \\nHEALTHCHECK CMD x\\n' >Dockerfile
    docker build --no-cache -t $c . 2>&1 | ${brief}
    docker image inspect -f '{{.Config.WorkingDir}} {{json .ContainerConfig.Labels}} {{.ContainerConfig.WorkingDir}}' $c
    printf 'x' >f; for line in 'COPY f/x /' 'WORKDIR /etc/group' 'EXPOSE /tcp' 'ENV x=\${a:' 'FROM --platform=\$none busybox' 'HEALTHCHECK --interval=1s --interval=2s CMD a'; do printf "FROM busybox\\n$line\\n" >Dockerfile; docker build --force-rm . 2>&1 | tail -1; done`,
  'hard links keep their owner, a directory its time, zstd its wrapping': `
    mkdir d && echo x >d/f && ln d/f d/g && tar --zstd -cf a.tar.zst d
    printf 'FROM busybox\\nCOPY --chown=5:6 d /d/\\nCOPY d/f /etc/\\nADD a.tar.zst /z/\\nRUN ls /z; test /etc -nt /bin && echo newer\\n' >Dockerfile
    docker build --no-cache -t $c . 2>&1 | ${brief}
    docker save $c | tar -xO --wildcards '*/layer.tar' 2>/dev/null | tar -tv --numeric-owner --ignore-zeros 2>/dev/null | grep -E ' d/[fg]' | cut -d' ' -f1,2`,
  variables: `
    printf 'FROM busybox\\nENV a=one b="two words" e=\\nENV c=\${a}x d=\${none:-default} f=\${a:+set} g=\\\\$a h=\${e:-empty}\\nWORKDIR /$a/\${b}\\nLABEL l="$c" m=\\x27$c\\x27\\nEXPOSE \${none:-81}\\nVOLUME ["/v-$a"]\\nUSER \${none:-7}\\nRUN pwd; env | grep -E "^[a-h]=" | sort\\n' >Dockerfile
    docker build --no-cache -t $c . | ${brief}
    docker image inspect -f '{{json .Config.Labels}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.User}} {{.Config.WorkingDir}}' $c`,
  'escape directive, comments, continued lines, here-documents': `
    printf '# escape=\`\\nFROM busybox\\nRUN echo a \`\\n# between\\n  b\\n\\nRUN echo C:\\\\\\\\x\\n' >Dockerfile && docker build --no-cache . 2>&1 | ${brief}
    printf 'FROM busybox\\nRUN <<EOF\\necho x\\nEOF\\n' >Dockerfile && docker build --no-cache . 2>&1 | tail -1
    printf 'from busybox\\nrun echo \\\\\\n\\n  late\\n' >Dockerfile && docker build --no-cache . 2>&1 | ${brief}`,
});

scriptCases('build: through a registry', {
  'whiteouts and opaque directories: commit, build, push, pull, run': {
    script: `
      docker run --name $c-1 busybox sh -c 'mkdir -p /d/sub /o/sub; echo 1 >/d/a; echo 1 >/d/b; echo 1 >/o/old; echo 1 >/o/sub/x' && docker commit $c-1 $c:one | cut -c 1-7
      docker run --name $c-2 $c:one sh -c 'rm /d/a; rm -r /o; mkdir /o; echo 2 >/o/new; rm -r /d/sub; ln -s b /d/sub; rm /bin/true' && docker commit $c-2 $c:two | cut -c 1-7
      printf "FROM $c:two\\nRUN rm /d/b; echo 3 >/d/a\\n" >Dockerfile && docker build -q -t ${registry}/$c . | cut -c 1-7
      docker push -q ${registry}/$c | cut -c 1-14
      docker rmi -f ${registry}/$c $c:two $c:one >/dev/null; docker rm $c-1 $c-2 >/dev/null
      docker pull -q ${registry}/$c
      docker run --rm --name $c-3 ${registry}/$c sh -c 'find /d /o | sort; cat /d/a /o/new; readlink /d/sub; ls /bin/true'`,
    timeoutSeconds: 240,
  },
});

scriptCases('build: from one engine to the other', {
  'a Dockerfile of two stages is built, pushed, and what comes of it runs on the other engine': {
    script: `
      mkdir site && printf 'import os,sys\\nfor n in range(3): open(os.path.join(sys.argv[1], "page%%d.html" %% n), "w").write("<p>%%d</p>" %% n)\\n' >site/make.py && echo index >site/index.html
      printf 'ARG out=/out\\nFROM debian:12 AS pages\\nARG out\\nWORKDIR /src\\nCOPY site/ .\\nRUN mkdir $out && python3 make.py $out && mv index.html $out && ln $out/page0.html $out/first.html && ln -s first.html $out/home\\nFROM busybox\\nARG out\\nCOPY --from=pages --chown=www-data:33 $out /var/www/\\nRUN chmod 4711 /var/www/page2.html; rm /var/www/page1.html; mkdir -m 1777 /spool\\nENV PAGES=3\\nUSER www-data\\nWORKDIR /var/www\\nEXPOSE 80\\nENTRYPOINT ["/bin/sh","-c"]\\nCMD ["id; pwd; env | grep PAGES; stat -c \\"%%n %%U %%G %%a %%h %%F\\" * /spool; cat *"]\\n' >Dockerfile
      docker build -q -t ${registry}/$c . | cut -c 1-7
      docker push -q ${registry}/$c | sed 's/sha256:.*//'
      docker -H $OTHER pull -q ${registry}/$c
      docker -H $OTHER run --rm ${registry}/$c
      docker -H $OTHER rmi ${registry}/$c | grep -c Untagged`,
    timeoutSeconds: 240,
  },
});

mainCases('build: archives and downloads', [
  'ADD of each compression',
  'names that lead out of a context and of an archive',
]);
scriptCases('build: archives and downloads', {
  'ADD of each compression': `
    mkdir d && echo x >d/f && tar --owner=5 --group=6 --mtime=@1700000000 -cf a.tar d
    gzip -kn a.tar; bzip2 -k a.tar; xz -k a.tar; zstd -q a.tar; cp a.tar.gz misnamed.txt; echo x | gzip -n >plain.gz; head -c 60 a.tar.gz >cut.tar.gz; : >empty.tar
    printf 'FROM busybox\\nADD a.tar /plain/\\nADD a.tar.gz /gzip/\\nADD a.tar.bz2 /bzip2/\\nADD a.tar.xz /xz/\\nADD a.tar.zst /zstd/\\nADD misnamed.txt /named/\\nADD plain.gz cut.tar.gz empty.tar /kept/\\nCOPY a.tar.gz /copied/\\nADD --chown=7:8 a.tar /owned/\\nADD a.tar /etc/hosts\\n' >Dockerfile
    docker build --no-cache . 2>&1 | ${brief}
    sed -i '$d' Dockerfile; echo 'RUN cd /; find plain gzip bzip2 xz zstd named kept copied owned -exec stat -c "%n %F %a %u:%g" {} + | sort' >>Dockerfile
    docker build . 2>&1 | grep -v Using.cache | ${brief}`,
  'names that lead out of a context and of an archive': `
    echo x >f; for n in ../out a/../../out /../out; do tar -P --transform "s,^f$,$n," -cf a.tar f; printf 'FROM busybox\\nADD a.tar /x/y/\\nRUN find /x | sort\\n' >Dockerfile; docker build --no-cache . 2>&1 | ${brief}; printf 'FROM busybox\\nCOPY . /x/\\nRUN find /x | sort\\n' >Dockerfile; tar -P --transform "s,^f$,$n," -cf - f Dockerfile | docker build --no-cache - 2>&1 | ${brief}; tar -P --transform "s,^f$,$n," -cf - f | docker import - $c >/dev/null; docker create --name $c-1 $c /f >/dev/null && docker cp $c-1:/out - | tar -t; docker rm $c-1 >/dev/null; done`,
  'a directory of which an upper layer only removes': `
    mkdir l m && mkdir -m 700 l/d && echo x >l/d/f && mkdir m/d && : >m/d/.wh.f && tar --owner=0 --group=0 --mtime=@1700000000 -C l -cf l.tar d && tar --owner=0 --group=0 --mtime=@1700000000 -C m -cf m.tar d/.wh.f
    printf '{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":["sha256:%s","sha256:%s"]}}' $(sha256sum <l.tar | cut -c-64) $(sha256sum <m.tar | cut -c-64) >config.json
    printf '[{"Config":"config.json","RepoTags":["%s:1"],"Layers":["l.tar","m.tar"]}]' $c >manifest.json && tar -cf in.tar manifest.json config.json l.tar m.tar && docker load -qi in.tar
    printf "FROM $c:1 AS one\\nFROM busybox\\nCOPY --from=one / /x/\\nRUN find /x -exec stat -c '%%n %%a' {} +\\n" >Dockerfile && docker build --no-cache . 2>&1 | ${brief}`,
  '--chown by name from scratch': `
    echo x >f; for w in nobody root 5 5:x 5:6:7; do printf "FROM scratch\\nCOPY --chown=$w f /\\n" >Dockerfile; docker build --no-cache -q . 2>&1 | tail -1 | sed 's, /[^ ]*/etc, /etc,'; done`,
  'HEALTHCHECK as it may be written, a third part of USER, one file under two names': `
    for h in 'CMD []' '--interval= --retries= CMD x' '--interval=-1s CMD x' '--interval=1d CMD x' '--retries=99999999999 CMD x' '--start-period=1us CMD x'; do printf "FROM busybox\\nHEALTHCHECK $h\\n" >Dockerfile; docker build --no-cache -q . 2>&1 | head -1 | cut -c 1-100 | sed 's/sha256:.*/ID/'; done
    mkdir d; echo 1 >d/a; printf 'FROM busybox\\nCOPY d/a d/a/ /o/\\nCOPY --chown=-1:4294967297 d/a /p\\nUSER 1:2:3\\nRUN id; stat -c "%%n %%F %%u:%%g" /o /o/a /p\\n' >Dockerfile
    docker build --no-cache . | ${brief}`,
  '.dockerignore: order, stars, slashes': `
    mkdir -p a/b/c x/a && touch a/1.md a/b/2.md a/b/c/3.md a/keep.md x/a/4.md top.md '#f' z
    for p in '**\\n!a/keep.md' '**/*.md\\n!**/keep.md' 'a/**\\n!a/b/c' '/a/b/\\n' '*/*.md' 'a/b/..' ' z \\n\\\\#f' '!z\\nz' '*\\n!.\\n' './a' 'a/*/c' '**/c' '?.md\\nz' '..\\n../z'; do printf "Dockerfile\\n.dockerignore\\n$p\\n" >.dockerignore; printf 'FROM busybox\\nCOPY . /c/\\nRUN find /c | sort | tr "\\\\n" " "; echo\\n' >Dockerfile; docker build --no-cache . 2>&1 | ${brief}; done`,
});

httpCases('build: parameters of the wrong type', {
  lists: [
    'POST /build?cachefrom={}',
    'POST /build?cachefrom=[1]',
    'POST /build?ulimits={}',
    'POST /build?ulimits=[1]',
    'POST /build?ulimits=[{"Name":"nofile","Soft":"1"}]',
    'POST /build?outputs={}',
  ],
  maps: [
    'POST /build?buildargs=[]',
    'POST /build?buildargs="x"',
    'POST /build?buildargs={"a":1}',
    'POST /build?labels=[1]',
    'POST /build?labels={"a":{}}',
  ],
  'numbers and platforms': [
    'POST /build?shmsize=x',
    'POST /build?shmsize=99999999999999999999',
    'POST /images/create?fromImage=busybox&platform=!',
    'POST /images/create?fromImage=busybox&platform=a/b/c/d',
  ],
});

sdkCases('build: a client that goes away', {
  'in the middle of a RUN leaves no container': async ({ docker, name }) => {
    const context = mkdtempSync(join(tmpdir(), 'caisson-context-'));
    const events = await docker.getEvents({ filters: { type: ['container'], label: [`case=${name}`] } });
    try {
      const lines = createInterface({ input: events })[Symbol.asyncIterator]();
      writeFileSync(
        join(context, 'Dockerfile'),
        `FROM busybox\nLABEL case=${name}\nRUN echo begun; sleep 1000\nENV never=1\n`,
      );
      const stream = await docker.buildImage({ context, src: ['Dockerfile'] }, { t: name, nocache: true });
      for await (const line of createInterface({ input: stream })) {
        if (line.includes('begun\\n"')) break;
      }
      stopReading(stream);
      const actions = new Map<string, string[]>();
      for (;;) {
        const next = await lines.next();
        if (next.done === true) throw new Error('the events ended');
        const { id, Action } = JSON.parse(next.value) as { id: string; Action: string };
        const ofContainer = [...(actions.get(id) ?? []), Action];
        actions.set(id, ofContainer);
        if (Action === 'destroy' && ofContainer.includes('start')) break;
      }
      const filters = { label: [`case=${name}`] };
      const images = await docker.listImages({ all: true, filters: JSON.stringify(filters) });
      await Promise.all(images.map(({ Id }) => docker.getImage(Id).remove()));
      return {
        actions: [...actions.values()],
        containers: await docker.listContainers({ all: true, filters }),
        // of the step before
        images: images.map(({ RepoTags }) => RepoTags),
      };
    } finally {
      stopReading(events);
      rmSync(context, { recursive: true });
    }
  },
});

sdkCases('build: dockerode', {
  buildImage: async ({ docker, name }) => {
    const context = mkdtempSync(join(tmpdir(), 'caisson-context-'));
    try {
      writeFileSync(join(context, 'Dockerfile'), 'FROM busybox\nARG who\nRUN echo hello $who; false\n');
      const stream = await docker.buildImage(
        { context, src: ['Dockerfile'] },
        { t: name, nocache: true, forcerm: true, buildargs: { who: 'you' }, labels: { name } },
      );
      return await new Promise((resolve) => {
        docker.modem.followProgress(stream, (error, output: { stream?: string; error?: string }[]) =>
          resolve({
            error: error?.message,
            said: output
              .map((line) => line.stream ?? line.error ?? '')
              .filter((text) => !/[0-9a-f]{12}/.test(text)),
          }),
        );
      });
    } finally {
      rmSync(context, { recursive: true });
    }
  },
});
