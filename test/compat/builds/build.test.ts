// docker build with the classic builder: output, configuration, history and files of the same Dockerfiles.

import { scriptCases } from '../harness/cases';

/** The image's files under /x, without the sizes of directories, which file systems count differently. */
const listing = `find /x -exec stat -c '%n|%F|%a|%u|%g|%s|%h' {} + | sed -E 's/(directory.*)[|][0-9]+[|]([0-9]+)$/\\1/' | sort; find /x -type l -exec ls -l {} + | sed 's/.*\\/x/\\/x/'`;
/** For printf, inside single quotes. */
const quotedListing = listing.replace(/\\/g, '\\\\').replace(/%/g, '%%').replace(/'/g, "'\\''");
const history = `docker history --no-trunc --format '{{.CreatedBy}}|{{.Size}}'`;

const files = `
  mkdir -p d/s && echo hello >f && printf gg >g && echo a >d/a && echo b >d/s/b && ln -s a d/l && ln d/a d/h && ln -s f lf && echo 1 >w1.txt && echo 2 >w2.txt
  chmod 640 g && chmod 700 d/s && mkdir -p t/lib && echo q >t/lib/q && tar --owner=5 --group=6 --mtime=@1700000000 -C t -cf a.tar lib`;

scriptCases('build: steps', {
  'metadata, its output, configuration and history': {
    script: `
      printf 'FROM busybox\\nMAINTAINER '$c' <a@b>\\nENV a=b c="d $a"\\nENV e f  g\\nARG z=1\\nLABEL l=m "n o"=$a\\nEXPOSE 80 53/udp 90-91\\nUSER 5\\nWORKDIR /w/x\\nWORKDIR y\\nVOLUME /v\\nSTOPSIGNAL 9\\nHEALTHCHECK --interval=5s --retries=3 CMD foo\\nONBUILD RUN x\\nSHELL ["/bin/sh","-x"]\\nCMD a b\\nENTRYPOINT ["q","r"]\\n' >Dockerfile
      docker build --no-cache -t $c --label z=y --label y=z .
      docker image inspect -f '{{json .Config}}' $c
      docker image inspect -f '{{.Author}} {{.Os}} {{.Architecture}} {{len .RootFS.Layers}}' $c
      ${history} $c
      docker build -t $c:again --label z=y --label y=z . | grep -c 'Using cache'
      docker build -q --no-cache -t $c:third . | cut -c 1-7`,
    bothClis: true,
  },
  'VOLUME over what is there': `
    for v in /bin/busybox '["/etc","/etc/passwd"]' /etc /new /bin/sh; do printf "FROM busybox\\nRUN ln -s busybox /bin/own\\nVOLUME $v\\nRUN true\\n" >Dockerfile; docker build . 2>&1 | tail -1 | sed 's/exists .*merged/exists /; s/^Successfully.*/built/; s/exists  */exists /'; done`,
  'RUN, arguments, cache': `
    printf 'ARG tag=latest\\nFROM busybox:$tag AS one\\nARG a\\nARG b=2\\nRUN echo $a $b $HTTP_PROXY; id; pwd\\nRUN ["echo","a b"]\\nUSER nobody\\nRUN id\\nFROM one\\nRUN rm /bin/true; mkdir /n; ls /bin/true\\n' >Dockerfile
    docker build -t $c --build-arg a=1 --build-arg HTTP_PROXY=p --build-arg unused=1 --target one .
    ${history} $c
    docker build --build-arg a=1 --target one . | grep -c 'Using cache'
    docker build --build-arg a=2 --target one . | grep -c 'Using cache'
    docker build --build-arg a=1 . | tail -3`,
  'commands that fail': `
    printf 'FROM busybox\\nRUN echo out; exit 3\\n' >Dockerfile
    docker build --force-rm . ; echo $?
    docker build -q --force-rm . ; echo $?
    printf 'FROM busybox\\nRUN ["nope"]\\n' >Dockerfile
    docker build --force-rm .`,
  limits: `
    printf 'FROM busybox\\nRUN ls /sys/class/net; grep me /etc/hosts | cut -c 1-7; df -k /dev/shm | tail -1 | cut -d" " -f1\\n' >Dockerfile
    docker build --network none --add-host me:1.2.3.4 --shm-size 32m --memory 64m -t $c .
    docker build --memory 1000 --no-cache .
    docker build --squash .`,
  ONBUILD: `
    printf 'FROM busybox\\nONBUILD RUN echo triggered\\nONBUILD ENV a=b\\n' >Dockerfile && docker build -q -t $c:base . | cut -c 1-7
    printf "FROM $c:base\\nENV c=\\$a\\n" >Dockerfile && docker build -t $c:child . | sed "s/$c/name/"
    docker image inspect -f '{{json .Config.Env}} {{json .Config.OnBuild}}' $c:child
    docker build . | grep -c 'Using cache'`,
});

scriptCases('build: files', {
  COPY: {
    script: `${files}
      printf 'FROM busybox\\nRUN mkdir -m 711 /x; chown 5:6 /x; mkdir /x/t; ln -s t /x/to\\nCOPY f /x/\\nCOPY f /x/p/q/r\\nCOPY --chown=nobody:5 d /x/d1\\nCOPY d/ /x/d2/\\nCOPY w?.txt lf /x/w/\\nCOPY g /x/to/\\nCOPY ["f","/x/e f"]\\nWORKDIR /x/wd\\nCOPY f .\\nCOPY d sub\\nRUN ${quotedListing}\\n' >Dockerfile
      docker build -t $c .
      touch -d @1 f g d/a && docker build . | grep -c 'Using cache'
      chmod 600 f && docker build . | grep -c 'Using cache'`,
    timeoutSeconds: 240,
  },
  'ADD, stages': {
    script: `${files}
      printf 'FROM busybox AS one\\nRUN mkdir -p /x/usr; ln -s usr /x/lib; echo 1 >/x/s; chmod 4755 /x/s; ln /x/s /x/h; mkfifo /x/p\\nADD a.tar f /x/\\nFROM busybox\\nCOPY --from=one /x /x\\nCOPY --from=0 --chown=8:9 /x/s /x/lib/ /x/c/\\nCOPY --from=busybox /bin/busybox /x/\\nRUN ${quotedListing}\\n' >Dockerfile
      docker build -t $c .
      ${history} $c | grep -v 'find /x' | grep -v dir:
      docker build . | grep -c 'Using cache'`,
    timeoutSeconds: 240,
  },
  'what is not there': `${files}
    for line in 'COPY none /' 'COPY none* /' 'COPY ../f /' 'COPY f g /x' 'COPY --from=0 /a /' 'COPY --from=99999 /a /' 'COPY --chown=none f /' 'COPY http://a/b /' 'ADD http://127.0.0.1:5000/none /' 'COPY --chmod=1 f /' 'RUN --mount=type=cache,target=/x true'; do printf "FROM busybox\\n$line\\n" >Dockerfile; docker build . 2>&1 | tail -1; done`,
  dockerignore: `${files}
    printf 'Dockerfile\\n.dockerignore\\n**/b\\n*.txt\\n!w1.txt\\nd/l\\na.tar\\nt\\n' >.dockerignore
    printf 'FROM busybox\\nCOPY . /x/\\nRUN find /x | sort\\n' >Dockerfile
    docker build .
    printf 'FROM busybox\\nCOPY f /x/\\n' | docker build - 2>&1 | tail -1
    printf 'FROM busybox\\nENV from=stdin\\n' | docker build -f - . | grep -c Successfully
    tar -c f Dockerfile | docker build - 2>&1 | tail -1`,
});

scriptCases('build: refusals', {
  'of the parser': `
    for line in FOO 'COPY a' 'COPY --link a b' 'FROM a b' 'FROM a AS 1' 'ENV a' 'ENV =a' 'LABEL a=b c' 'SHELL a' 'CMD ["a",1]' 'ONBUILD FROM x' 'ONBUILD ONBUILD RUN x' 'HEALTHCHECK x' 'VOLUME [""]' 'RUN --network=none x' 'STOPSIGNAL' 'ARG =x' 'EXPOSE foo' 'STOPSIGNAL nope' 'STOPSIGNAL --x nope' 'LABEL --x' 'HEALTHCHECK --x' 'FROM scratch:latest' 'COPY no//such ./no/../such /x/' 'ADD http:// /x' 'ENV a=\${x' 'ENV a=\${x:?why}'; do printf "FROM busybox\\n$line\\n" >Dockerfile; docker build . 2>&1 | tail -1; done
    printf '' >Dockerfile; docker build .
    printf '# nothing\\n' >Dockerfile; docker build .
    printf 'RUN x\\n' >Dockerfile; docker build .
    printf 'ARG x\\nFROM $x\\n' >Dockerfile; docker build .
    printf 'FROM 127.0.0.1:5000/none\\n' >Dockerfile; docker build .
    printf 'FROM scratch\\n' >Dockerfile; docker build .`,
  'of the command line': `
    printf 'FROM busybox AS one\\n' >Dockerfile
    docker build --target none .
    docker build -t UPPER .
    docker build -f none .
    docker build --platform a/b/c/d .
    docker builder prune -f --filter until=100000h`,
});
