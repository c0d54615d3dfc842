// Instructions of Dockerfiles as BuildKit builds them: progress, errors with their lines, what images are.

import { buildCases } from '../harness/build-cases';
import { registryHost } from '../../support/images/test-images';
import { mainCases } from '../harness/cases';

const show = `docker image inspect -f '{{json .Config}} {{.Os}}/{{.Architecture}} {{len .RootFS.Layers}}'`;
const history = `docker history --no-trunc --format '{{.CreatedBy}}|{{.Comment}}'`;

mainCases('buildkit: dockerfile', [
  'instructions, their progress, configuration and history',
  'commands that fail',
]);

buildCases('buildkit: dockerfile', {
  'instructions, their progress, configuration and history': {
    script: `
      printf 'FROM busybox\\nMAINTAINER '$c' <a@b>\\nENV a=b c="d $a"\\nARG z=1\\nLABEL l=m "n o"=$a\\nEXPOSE 80 53/udp 90-91\\nUSER 5\\nWORKDIR /w/x\\nWORKDIR y\\nVOLUME /v\\nSTOPSIGNAL 9\\nHEALTHCHECK --interval=5s --retries=3 CMD foo\\nSHELL ["/bin/sh","-x"]\\nCMD a b\\nENTRYPOINT ["q","r"]\\n' >Dockerfile
      docker build -t $c --label z=y .
      ${show} $c
      ${history} $c
      docker build -q . | cut -c 1-7`,
    clients: ['buildx', 'cli'],
  },
  'stages: unused ones are skipped, others are copied from': `
    printf 'FROM busybox AS one\\nRUN echo one >/one\\nFROM busybox AS unused\\nRUN exit 7\\nFROM one AS two\\nRUN echo two >/two\\nFROM scratch\\nCOPY --from=two /one /two /x/\\nCOPY --from=busybox /bin/busybox /bin/\\n' >Dockerfile
    docker build -t $c .
    ${history} $c
    docker run --rm $c /bin/busybox cat /x/one /x/two
    docker build --target one -t $c:one . 2>&1 | grep -c 'RUN echo one'
    docker build --target zzzzzzz . 2>&1 | tail -1`,
  arguments: `
    printf 'ARG tag=latest\\nARG shared=s\\nFROM busybox:$tag\\nARG a\\nARG b=2\\nARG shared\\nARG TARGETARCH\\nARG TARGETPLATFORM\\nARG BUILDPLATFORM\\nRUN echo "$a $b $shared $TARGETARCH $TARGETPLATFORM $BUILDPLATFORM $HTTP_PROXY" | tee /told; id -u; pwd\\nENV e=$a$b f=\${none:-dash} g=\${b:+plus}\\n' >Dockerfile
    docker build -t $c --build-arg a=1 --build-arg HTTP_PROXY=p --build-arg unused=1 .
    ${show} $c
    cached --build-arg a=1 --build-arg HTTP_PROXY=other .
    cached --build-arg a=2 .`,
  'arguments of the stage that one goes on from': `
    printf 'FROM busybox AS one\\nARG a=1\\nARG b\\nENV e=$a\\nFROM one\\nARG c=$a$b\\nRUN echo "$a/$b/$c/$e" | tee /x\\n' >Dockerfile
    docker build --build-arg b=2 -t $c .
    ${show} $c`,
  heredocs: `
    printf 'FROM busybox\\nRUN <<EOF\\necho one\\necho two >/two\\nEOF\\nRUN cat <<a - <<-b >/both\\nfrom a\\na\\n\\tfrom b\\n\\tb\\nCOPY <<"x" <<y /files/\\n$PATH\\nx\\n$HOME of y\\ny\\nCOPY --chmod=750 <<EOF /named\\n#!/bin/sh\\necho named\\nEOF\\nRUN /named; grep . /files/* /both /two; stat -c %%a /named\\n' >Dockerfile
    docker build .`,
  'commands that fail': {
    script: `
      printf 'FROM busybox\\nRUN echo out; exit 3\\n' >Dockerfile
      docker build . ; echo $?
      printf '# a comment\\nFROM busybox\\nRUN true && \\\\\\n  exit 4\\n' >Dockerfile
      docker build .
      printf 'FROM busybox\\nRUN ["nope"]\\n' >Dockerfile
      docker build .`,
    clients: ['buildx', 'cli'],
  },
  mistakes: `
    for line in 'COPY none /' 'COPY none* /' 'COPY f g /x' 'COPY --from=${registryHost}/none /a /' 'NOPE' 'FROM ${registryHost}/none:none' 'ENV' 'RUN --mount=type=none true' 'ADD --checksum=x f /' 'EXPOSE a' 'WORKDIR' 'USER'; do echo hello >f; printf "FROM busybox\\n$line\\n" >Dockerfile; docker build . 2>&1 | grep -v '^#' | sed '/^ *$/d'; done
    printf 'FROM busybox\\nCOPY --from=99 /a /\\n' >Dockerfile
    docker build . 2>&1 | reason
    printf 'FROM none.invalid/none\\n' >Dockerfile
    docker build . 2>&1 | reason
    printf '' >Dockerfile
    docker build . 2>&1 | tail -1
    docker build -f none . 2>&1 | tail -1
    docker build nowhere 2>&1 | tail -1`,
  ONBUILD: `
    printf 'FROM busybox\\nONBUILD RUN echo triggered\\nONBUILD ENV a=b\\n' >Dockerfile && docker build -t $c:base . 2>/dev/null
    printf "FROM $c:base\\nENV c=\\$a\\n" >Dockerfile && docker build -t $c:child . 2>&1 | sed 's,\\[[0-9]/[0-9]\\],[],'
    docker image inspect -f '{{json .Config.Env}} {{json .Config.OnBuild}}' $c:child`,
  'users, shells and directories': `
    printf 'FROM busybox\\nUSER nobody\\nWORKDIR /made/by\\nRUN id -un; pwd; stat -c %%u /made /made/by\\nSHELL ["/bin/sh","-ec"]\\nRUN false; echo never\\n' >Dockerfile
    docker build .`,
  'cache: what changes runs again, what comes after it too': `
    printf 'FROM busybox\\nRUN echo first >/first\\nCOPY f /f\\nRUN echo second >/second\\n' >Dockerfile; echo 1 >f
    docker build -t $c . 2>/dev/null
    docker build -t $c .
    touch -d @1 f; cached .
    echo 2 >f; cached .
    cached --no-cache .
    printf 'FROM busybox AS one\\nRUN echo '$c' >/1\\nFROM one AS two\\nRUN echo '$c' >/2\\n' >Dockerfile; docker build . 2>/dev/null
    cached --no-cache-filter two .
    cached --no-cache-filter one .
    cached --no-cache-filter none .`,
  '# escape': `
    printf '# escape=\`\\nFROM busybox\\nRUN echo a \`\\n  b\\n' >Dockerfile
    docker build . 2>&1 | grep 'a b'`,
});
