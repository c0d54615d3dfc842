// Compose of both generations: the same project, the same steps. What Compose prints on its way is in an order of its
// own; what it leaves is compared.

import { mainCases, scriptCases } from '../harness/cases';
import { composeGenerations, newestCompose } from '../harness/compose';

/** `$$` is Compose's own quoting of a dollar. */
const project = (port: number): string => `
version: '2.4'
services:
  db:
    image: busybox
    init: true
    stop_grace_period: 1s
    command: sh -c 'test -e /data/count || echo first >/data/count; echo second >>/data/count; touch /tmp/ready; echo db up; exec nc -ll -p 5432 -e cat /data/count'
    volumes: ['data:/data']
    networks: [back]
    healthcheck: {test: test -e /tmp/ready, interval: 1s, retries: 60}
  setup:
    image: busybox
    command: sh -c 'echo set up'
    networks: [back]
  web:
    image: busybox
    init: true
    stop_grace_period: 1s
    command: sh -c 'mkdir -p /www; echo "hello $$WHO $$EXTRA" >/www/index.html; cp /run/secret /www/secret; exec httpd -f -p 80 -h /www'
    environment: {WHO: compose}
    env_file: web.env
    ports: ['127.0.0.1:${String(port)}:80']
    volumes: ['./secret.txt:/run/secret:ro']
    depends_on:
      db: {condition: service_healthy}
    networks:
      back: {}
      front: {aliases: [www, site]}
  tool:
    image: busybox
    profiles: [tools]
    command: echo a tool
    networks: [front]
volumes: {data: {}}
networks: {front: {}, back: {internal: true}}
`;

const script = (setUp: string, command: string, port: number): string => `
  ${setUp}
  echo ${Buffer.from(project(port)).toString('base64')} | base64 -d >docker-compose.yml; echo EXTRA=first >web.env; echo word >secret.txt
  compose() { ${command} -p $c "$@" 2>stderr; }; look() { docker ps -a --filter label=com.docker.compose.project=$c --format '{{.Label "com.docker.compose.service"}} {{.Label "com.docker.compose.container-number"}} {{.State}}' | sort; }; page() { wait_for on_host curl -sf 127.0.0.1:${String(port)}; on_host curl -s 127.0.0.1:${String(port)}/$1; }
  compose up -d >/dev/null; wait_for 'look | grep "setup 1 exited"'; look
  page; page secret
  compose exec -T web nslookup -type=a db | grep -c ^Name; compose exec -T web sh -c 'exit 3'; compose exec -T web nc db 5432 </dev/null
  compose exec -T db sh -c 'nslookup -type=a web | grep -c ^Name; nslookup -type=a www 2>&1 | grep -c ^Name'
  compose port web 80; compose ps -q | wc -l; compose logs --no-color db | grep -o 'db up'
  docker network inspect -f '{{.Internal}} {{len .Containers}} {{index .Labels "com.docker.compose.network"}}' "$c"_back
  docker inspect -f '{{range $n, $e := .NetworkSettings.Networks}}{{$n}} {{len $e.Aliases}} {{end}}{{json .HostConfig.PortBindings}}' $(compose ps -q web)
  compose run --rm setup; compose --profile tools run --rm tool
  before=$(compose ps -q web); compose up -d >/dev/null; test "$before" = "$(compose ps -q web)"
  echo EXTRA=second >web.env; compose up -d >/dev/null; test "$before" = "$(compose ps -q web)"; page
  compose up -d --scale db=2 >/dev/null; look; compose up -d --scale db=1 >/dev/null
  compose restart -t 1 db web >/dev/null; page; compose exec -T db tail -n 1 /data/count
  compose stop -t 1 >/dev/null; look; compose start >/dev/null; page; look | grep -v setup
  compose pause web >/dev/null; look | grep web; compose unpause web >/dev/null; compose kill -s KILL web >/dev/null; wait_for 'look | grep "web 1 exited"'
  compose rm -f web >/dev/null; look | grep -v setup
  compose down -v -t 1 >/dev/null; look; docker network ls --filter name=$c -q; docker volume ls --filter name=$c -q`;

/** Attached: output of the services, and an end with the code of one of them. */
const attached = (setUp: string, command: string): string => `
  ${setUp}
  printf '%s\\n' "version: '3.9'" services: '  job: {image: busybox, command: sh -c "echo from the job; exit 4", depends_on: {first: {condition: service_completed_successfully}}}' '  first: {image: busybox, command: echo from the first}' >docker-compose.yml
  ${command} -p $c up --exit-code-from job >out 2>err; echo $?; grep -o 'from the first' out
  (timeout 20 ${command} -p $c logs -f --no-color; echo $?) 2>/dev/null | grep -o 'from the .*' | sort
  ${command} -p $c up 2>/dev/null | grep -o 'from the .*' | sort
  ${command} -p $c down >/dev/null 2>&1; docker network ls --filter name=$c -q`;

const builtProject = `
services:
  web:
    image: $c-web:one
    build:
      context: ./web
      dockerfile: sub/Dockerfile.web
      target: second
      network: none
      args: {who: you, empty: , number: 5}
      labels: {com.example.a: b, z: '1'}
      cache_from: [busybox, 'no-such:image']
  plain:
    image: $c-plain:one
    build: ./plain
`;
const webDockerfile = `
FROM busybox AS first
ARG who
ARG empty
ARG number
RUN echo "who=$who empty=$empty number=$number"; ls /sys/class/net
COPY . /context/
FROM first AS second
RUN find /context | sort
FROM second
RUN echo not reached
`;
const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** What a build says, less ids and what the generations of Compose add. */
const told = `grep -E '^(Step|who=|lo$|eth|/context|Successfully tagged|k=|.*(returned a non-zero|unknown instruction|not found))' | grep -v compose.image`;

const builds = (setUp: string, command: string): string => `
  ${setUp}
  mkdir -p web/sub plain; echo ${base64(builtProject)} | base64 -d | sed "s/[$]c/$c/" >docker-compose.yml; echo ${base64(webDockerfile)} | base64 -d >web/sub/Dockerfile.web
  touch web/keep web/drop.log; printf '*.log\\nsub/Dockerfile.web\\n' >web/.dockerignore; printf "FROM busybox\\nARG k=none\\nLABEL case=$c\\nRUN echo k=\\$k >/k\\nCMD cat /k\\n" >plain/Dockerfile
  compose() { ${command} -p $c "$@" 2>&1; }
  compose build web >out; echo $?; cat out | ${told}; docker image inspect -f '{{index .Config.Labels "com.example.a"}} {{.Config.Labels.z}} {{json .Config.Cmd}} {{len .RootFS.Layers}}' $c-web:one
  compose build --no-cache --build-arg number=6 web | ${told}
  compose build --build-arg k=given plain | ${told}; docker run --rm --name $c-1 $c-plain:one
  compose build -q plain >/dev/null; docker run --rm --name $c-1 $c-plain:one
  sed -i 's/k=none/k=changed/' plain/Dockerfile; compose up --build plain | grep -o k=changed$ | sort -u
  for line in 'RUN exit 7' NOPE 'COPY none /'; do printf "FROM busybox\\n$line\\n" >plain/Dockerfile; compose build plain >out; echo $?; cat out | ${told} | sed 's/^.*: //'; done
  compose down >/dev/null; docker ps -aq --filter label=com.docker.compose.project=$c | wc -l`;

/** Both forms of limits, in effect under either version of cgroups; what is told of health, and who waits for it. */
const limitedProject = `
services:
  capped:
    image: busybox
    init: true
    command: sleep 1000
    mem_limit: 64m
    mem_reservation: 32m
    cpus: 0.5
    pids_limit: 20
    ulimits: {nofile: {soft: 100, hard: 200}}
    healthcheck: {test: [CMD, test, -e, /tmp/ok], interval: 1s, retries: 300}
  deployed:
    image: busybox
    init: true
    command: sleep 1000
    deploy: {resources: {limits: {memory: 96M, cpus: '0.25'}, reservations: {memory: 48M}}}
    healthcheck: {disable: true}
    depends_on: {capped: {condition: service_healthy}}
  sick:
    image: busybox
    init: true
    command: sleep 1000
    healthcheck: {test: "echo poorly; exit 1", interval: 1s, retries: 1}
    profiles: [sick]
  waits:
    image: busybox
    command: echo never
    depends_on: {sick: {condition: service_healthy}}
    profiles: [sick]
`;

const limited = (setUp: string, command: string): string => `
  ${setUp}
  echo ${Buffer.from(limitedProject).toString('base64')} | base64 -d >docker-compose.yml
  compose() { ${command} -p $c "$@" 2>stderr; }; limits() { docker inspect -f '{{with .HostConfig}}{{.Memory}} {{.MemoryReservation}} {{.NanoCpus}} {{.PidsLimit}} {{json .Ulimits}}{{end}}' $(compose ps -q $1); compose exec -T $1 sh -c 'cd /sys/fs/cgroup; cat memory.max || cat memory/memory.limit_in_bytes; set -- $(cat cpu.max) && test $# = 2 && echo $1 || cat cpu/cpu.cfs_quota_us'; }; health() { docker inspect -f '{{if .State.Health}}{{.State.Health.Status}}{{else}}none{{end}}' $(compose ps -q $1); }
  compose up -d capped >/dev/null; health capped; limits capped; compose exec -T capped sh -c 'ulimit -n; ulimit -Hn; cd /sys/fs/cgroup; cat pids.max || cat pids/pids.max'
  compose exec -T capped touch /tmp/ok; compose up -d >/dev/null; health capped; health deployed; limits deployed
  compose --profile sick up -d waits >/dev/null; echo $?
  sick=$(docker ps -q --filter label=com.docker.compose.project=$c --filter health=unhealthy); docker inspect -f '{{.State.Health.Status}} {{(index .State.Health.Log 0).ExitCode}} {{(index .State.Health.Log 0).Output}}' $sick
  compose --profile sick down -t 1 >/dev/null; docker ps -aq --filter label=com.docker.compose.project=$c`;

for (const { name, setUp, command, available } of composeGenerations) {
  if (available) {
    const port = name === 'Compose v1' ? 18201 : 18202;
    if (name !== newestCompose) mainCases(name, ['a project from up to down']);
    scriptCases(name, {
      'a project from up to down': { script: script(setUp, command, port), timeoutSeconds: 240 },
      'limits and health checks': { script: limited(setUp, command), timeoutSeconds: 300 },
      attached: { script: attached(setUp, command), timeoutSeconds: 120 },
      builds: { script: builds(setUp, command), timeoutSeconds: 240 },
    });
  } else {
    it.todo(`${name} is not on this machine`);
  }
}
