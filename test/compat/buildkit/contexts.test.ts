// Where contexts come from, and where results go.

import { registryHost } from '../../support/images/test-images';
import { buildCases } from '../harness/build-cases';
import { mainCases } from '../harness/cases';

mainCases('buildkit: contexts', ['outputs', 'bake', 'standard input']);

buildCases('buildkit: contexts', {
  'standard input': {
    script: `
      echo hello >f
      printf 'FROM busybox\\nCOPY f /f\\nRUN cat /f\\n' >Dockerfile
      tar -c f Dockerfile | docker build - 2>&1
      tar -cz f Dockerfile | docker build -t $c - 2>&1 | grep -c hello
      printf 'FROM busybox\\nENV from=stdin\\n' | docker build -t $c - && docker image inspect -f '{{json .Config.Env}}' $c
      printf 'FROM busybox\\nCOPY f /g\\nRUN cat /g\\n' | docker build -f - .
      printf 'FROM busybox\\nCOPY f /\\n' | docker build - 2>&1 | tail -1
      tar -c f Dockerfile | docker build -f none - 2>&1 | tail -1`,
    clients: ['buildx', 'cli'],
  },
  URLs: `
    mkdir www; printf 'FROM busybox\\nRUN echo from a URL\\n' >www/Dockerfile; tar -C www -cf www/context.tar Dockerfile
    (on_host python3 -m http.server --bind 127.0.0.1 -d www $port >/dev/null 2>&1 &)
    wait_for on_host curl -sf http://127.0.0.1:$port/Dockerfile
    docker build http://127.0.0.1:$port/Dockerfile 2>&1 | sed "s/:$port/:port/g"
    docker build http://127.0.0.1:$port/context.tar 2>&1 | sed "s/:$port/:port/g"
    docker build http://127.0.0.1:$port/none 2>&1 | tail -1 | sed "s/:$port/:port/g"`,
  'named contexts': `
    mkdir other; echo other >other/f
    printf 'FROM busybox AS base\\nRUN echo replaced\\nFROM base\\nCOPY --from=files f /f\\nRUN cat /f\\n' >Dockerfile
    docker build --build-context files=other .
    docker build --build-context files=other --build-context base=docker-image://layers . 2>&1 | grep -c replaced
    docker build --build-context files=none . 2>&1 | tail -1
    docker build . 2>&1 | reason`,
  outputs: `
    printf 'FROM busybox AS b\\nRUN mkdir -p /o/d; echo 1 >/o/f; ln -s f /o/l; chmod 600 /o/f\\nFROM scratch\\nCOPY --from=b /o /\\n' >Dockerfile
    docker build -o out .
    find out -exec stat -c '%n %F %a' {} + | sort
    docker build -o type=tar,dest=out.tar . && tar -tvf out.tar | awk '{print $1, $2, $6, $7, $8}' | sort
    docker build -o - . 2>/dev/null | tar -t | sort
    docker build --iidfile iid --metadata-file meta.json -t $c . 2>/dev/null; grep -c ^sha256: iid; sed 's/[^"]*"\\([^"]*\\)": .*/\\1/' meta.json | grep '\\.' | sort
    docker build -o type=none . 2>&1 | tail -1`,
  bake: `
    mkdir a b; printf 'FROM busybox\\nARG v\\nRUN echo a $v >/a\\n' >a/Dockerfile; printf 'FROM base\\nRUN cat /a\\n' >b/Dockerfile
    printf 'variable "V" { default = "one" }\\ngroup "default" { targets = ["b"] }\\ntarget "a" {\\n context = "a"\\n args = { v = V }\\n}\\ntarget "b" {\\n context = "b"\\n contexts = { base = "target:a" }\\n tags = ["'$c'"]\\n}\\n' >docker-bake.hcl
    docker buildx bake 2>&1 | grep -oE '(RUN .*|naming to [^ ]*|ERROR.*| a one$)' | sort -u
    V=two docker buildx bake 2>&1 | grep -oE ' a two$' | sort -u
    docker run --rm $c cat /a
    docker buildx bake none 2>&1 | tail -1`,
  'bake with variables, a matrix and inheritance': {
    script: `
      printf 'FROM busybox\\nARG v\\nARG w\\nRUN echo $v $w >/x\\nFROM scratch\\nCOPY --from=0 /x /x\\n' >Dockerfile
      printf 'variable "W" { default = "w" }\\nvariable "LIST" { default = ["one", "two"] }\\nfunction "twice" {\\n params = [t]\\n result = "\${t}\${t}"\\n}\\ntarget "common" {\\n args = { w = twice(W) }\\n}\\ntarget "default" {\\n name = "t-\${v}"\\n matrix = { v = LIST }\\n inherits = ["common"]\\n args = { v = upper(v) }\\n output = ["type=local,dest=out/\${v}"]\\n}\\n' >docker-bake.hcl
      docker buildx bake 2>&1 | grep ERROR; cat out/one/x out/two/x
      W=x docker buildx bake --set t-one.args.v=set t-one 2>&1 | grep ERROR; cat out/one/x out/two/x
      docker buildx bake t-three 2>&1 | tail -1`,
    clients: ['newest'],
  },
  compose: `
    mkdir web; printf 'FROM busybox\\nARG a\\nRUN echo $a >/a\\nCMD cat /a\\n' >web/Dockerfile
    printf 'services:\\n  web:\\n    image: '$c'\\n    build:\\n      context: web\\n      args: {a: composed}\\n' >compose.yaml
    docker compose -p $c build 2>&1 | grep -c 'naming to'
    docker compose -p $c up --no-log-prefix 2>&1 | grep composed
    docker compose -p $c down 2>/dev/null; docker compose -p $c up --build --no-log-prefix 2>&1 | grep -c '^composed'
    docker compose -p $c down 2>/dev/null`,
  'composed by bake': {
    script: `
      mkdir web; printf 'FROM base\\nARG a\\nRUN echo $a >>/a\\nCMD cat /a\\n' >web/Dockerfile; echo secret >s
      printf 'FROM busybox\\nRUN --mount=type=secret,id=s wc -c </run/secrets/s >/a\\n' >Dockerfile
      printf 'services:\\n  base:\\n    image: '$c'-base\\n    command: cat /a\\n    build: {context: ., secrets: [s]}\\n  web:\\n    image: '$c'\\n    build:\\n      context: web\\n      args: {a: composed}\\n      labels: {l: v}\\n      additional_contexts: {base: "service:base"}\\nsecrets: {s: {file: ./s}}\\n' >compose.yaml
      docker compose -p $c build -q; docker compose -p $c up --no-log-prefix web 2>&1 | grep -E '^(composed|7)$'
      docker image inspect -f '{{.Config.Labels.l}}' $c; docker compose -p $c down 2>/dev/null
      printf 'FROM base\\nRUN false\\n' >web/Dockerfile; docker compose -p $c build web 2>&1 | grep -o 'exit code: 1' | sort -u`,
    clients: ['newest'],
  },
  'pushed while it is built': `
    printf 'FROM busybox\\nRUN echo '$c' >/x\\n' >Dockerfile
    docker build -q --push -t ${registryHost}/$c . | cut -c 1-7; docker rmi -f ${registryHost}/$c >/dev/null
    docker pull -q ${registryHost}/$c; docker run --rm ${registryHost}/$c cat /x; docker rmi -f ${registryHost}/$c >/dev/null
    docker build --output type=image,name=${registryHost}/$c:two,push=true . 2>&1 | tail -1`,
  'given up with ctrl-C': `
    printf 'FROM busybox\\nRUN --mount=type=cache,target=/c,id='$c',sharing=locked echo begun-$((1+1)) >/c/f; cat /c/f; exec sleep 1000\\n' >Dockerfile
    set -m; docker build . >log 2>&1 & build=$!; wait_for grep -q begun-2 log; kill -INT $build; wait $build; echo $?
    grep -oE '(CANCELED|ERROR: .*)$' log | sort -u
    printf 'FROM busybox\\nRUN --mount=type=cache,target=/c,id='$c',sharing=locked cat /c/f\\n' >Dockerfile; docker build . 2>&1 | grep -o 'begun-2$'`,
  'one build of two clients': `
    printf 'FROM busybox\\nRUN echo '$c'; sleep 1; head -c 9 /dev/urandom | od -x >/x\\nFROM scratch\\nCOPY --from=0 /x /\\n' >Dockerfile
    docker build -o a . 2>/dev/null & docker build -o b . 2>/dev/null; wait; cmp a/x b/x && echo once`,
  '--pull, and a registry as the output': `
    printf 'FROM busybox\\nRUN echo pushed >/x\\n' >Dockerfile; docker build --push -t ${registryHost}/$c . 2>/dev/null
    printf 'FROM busybox\\nRUN echo here >/x\\n' >Dockerfile; docker build -t ${registryHost}/$c . 2>/dev/null
    printf 'FROM ${registryHost}/'$c'\\nRUN cat /x\\n' >Dockerfile
    docker build . 2>&1 | grep -oE '[0-9] (here|pushed)$' | cut -c 3-; docker build --pull . 2>&1 | grep -oE '[0-9] (here|pushed)$' | cut -c 3-
    docker build -t ${registryHost}/$c:out -o type=registry . 2>&1 | grep -oE '(ERROR|pushing manifest|naming to).*' | sed 's/@sha256.*//' | sort -u`,
  'secrets of the environment': `
    printf 'FROM busybox\\nRUN --mount=type=secret,id=s cat /run/secrets/s | tr a-z A-Z; echo\\n' >Dockerfile
    S=hush docker build --secret id=s,env=S . 2>&1 | grep -o HUSH`,
  'filters of a prune': `
    printf 'FROM busybox\\nRUN echo '$c' >/x\\n' >Dockerfile; docker build . 2>/dev/null
    docker builder prune -f --filter description~=nothing-of-$c | tail -1
    docker buildx prune -f --filter "description~=$c" | grep -c . ; docker buildx du --filter "description~=$c" 2>&1 | tail -1 | tr -s '\\t ' ' '
    docker buildx prune -f --filter 'no such' 2>&1 | tail -1; docker buildx prune -f --filter description~='(' 2>&1 | tail -1`,
  'times of a build': `
    printf 'FROM busybox\\nRUN echo '$c' >/x\\n' >Dockerfile; docker build --build-arg SOURCE_DATE_EPOCH=1000000000 -t $c . 2>/dev/null
    docker image inspect -f '{{.Created}}' $c; docker history --format '{{.CreatedAt}}' --human=false $c | head -1
    docker build --build-arg SOURCE_DATE_EPOCH=x . 2>&1 | tail -1`,
  'the worker': `
    docker buildx inspect 2>&1 | grep -E '^(Name|Driver|Status|Platforms)' | sed 's/ *,.*//'
    docker buildx ls --format '{{.Name}}' 2>/dev/null | head -1 | wc -l`,
  'what the cache holds': `
    printf 'FROM busybox\\nRUN echo '$c' >/x\\nRUN --mount=type=cache,target=/c true\\n' >Dockerfile; docker build . 2>/dev/null
    docker buildx du --verbose | grep -c "Description:.*echo $c"
    docker builder prune -f --filter type=none | tail -1
    docker system df --format '{{.Type}}' | tail -1`,
});
