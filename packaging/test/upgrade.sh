#!/usr/bin/env bash
# `npm run test:upgrade`: the release before this one starts containers, this one takes them over. Needs root and the docker command.
#   CAISSON_PREVIOUS=DIR   a built checkout of the release before; without it one is made of its commit in build/release-VERSION
#   CAISSON_KEEP_RECORDS=FILE   the records as that release left them, as JSON (what test/fixtures has)
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$root_dir"
previous_version=0.1.0
previous_commit=b7022555723da4c7ff4724682b5fae57cd74f795
previous=${CAISSON_PREVIOUS:-$root_dir/build/release-$previous_version}
[ "$(id -u)" = 0 ] || die 'needs root: it runs daemons'

make_previous() {
  mkdir -p "$previous/build/guest"
  git archive "$previous_commit" | tar -x -C "$previous" || die 'a git checkout with that release is needed'
  ln -sfn "$root_dir/node_modules" "$previous/node_modules"
  [ ! -d build/guest/cache ] || cp -al build/guest/cache "$previous/build/guest/"
  (cd "$previous" && npm run --silent build && npm run --silent guest) >"$previous/build.log" 2>&1 || { tail -n 20 "$previous/build.log" >&2; die "$previous_version can't be built"; }
}
[ -e "$previous/dist/main.js" ] || make_previous
# a network and processes of its own: whatever happens, all ends with this
if [ -z "${CAISSON_INSIDE:-}" ]; then
  CAISSON_INSIDE=1 exec unshare --net --pid --fork --mount --mount-proc --propagation private bash "$0" "$@"
fi
ip link set lo up

dir=$(mktemp -d /tmp/caisson-upgrade.XXXX)
chmod 755 "$dir"
trap 'rm -rf "$dir" 2>/dev/null || true' EXIT
export DOCKER_HOST=unix://$dir/s DOCKER_CONFIG=$dir/docker
start() {
  node "$1/dist/main.js" daemon --data-root "$dir/data" --run-dir "$dir/run" --host "$DOCKER_HOST" --accel tcg --pool-size 0 >>"$dir/log" 2>&1 &
  daemon=$!
  for _ in $(seq 3000); do
    curl -sf --max-time 5 --unix-socket "$dir/s" http://caisson/_ping >/dev/null 2>&1 && return
    kill -0 "$daemon" 2>/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$dir/log" >&2
  die "the daemon of $1 does not start"
}
stop() { kill "$daemon" && wait "$daemon" || true; }
passed=0
# check WHAT COMMAND…
check() {
  local what=$1
  shift
  "$@" >"$dir/out" 2>&1 || { cat "$dir/out" >&2; tail -n 20 "$dir/log" >&2; die "FAILED: $what"; }
  passed=$((passed + 1))
  say "ok: $what"
}
page() { curl -sf --max-time 60 "http://127.0.0.1:$1/" | grep -q "$2"; }
# Numbers from 1 on, each once and in order: no line of the log is lost or doubled.
counts() { docker logs counter | awk '$1 != NR { exit 1 } END { exit NR < 2 }'; }
state() { docker inspect -f '{{.State.Status}} {{.State.StartedAt}} {{.RestartCount}}' counter web frozen; }

start "$previous"
say "release $previous_version runs"
docker pull -q caisson/hello >/dev/null
docker volume create kept >/dev/null
docker network create apart >/dev/null
docker run -d --name counter --restart always caisson/hello sh -c 'i=1; while :; do echo $i; i=$((i + 1)); sleep 0.2; done' >/dev/null
docker run -d --name web --network apart -v kept:/data -p 127.0.0.1:8088:80 caisson/hello \
  sh -c 'echo from-the-volume >/data/index.html; exec httpd -f -p 80 -h /data' >/dev/null
docker run -d --name frozen caisson/hello sleep 3600 >/dev/null
docker pause frozen >/dev/null
docker run --name ended caisson/hello sh -c 'echo last words; exit 7' >/dev/null 2>&1 || true
docker tag caisson/hello mine:1
check 'a port, before' page 8088 from-the-volume
state >"$dir/before"
stop
if [ -n "${CAISSON_KEEP_RECORDS:-}" ]; then node packaging/test/records.mjs "$dir/data" >"$CAISSON_KEEP_RECORDS"; fi

start "$root_dir"
say "$(node dist/main.js version) runs"
state >"$dir/after"
check 'states, starts and restart counts are what they were' diff "$dir/before" "$dir/after"
check 'the log goes on, without a gap' counts
check 'a port' page 8088 from-the-volume
check 'exec in a VM of before' docker exec web grep -q from-the-volume /data/index.html
check 'cp out of it' docker cp web:/data/index.html "$dir/copied"
check 'stats of it' docker stats --no-stream counter
check 'unpause' docker unpause frozen
check 'the log of one that ended' sh -c 'docker logs ended | grep -q "last words"'
check 'its exit code' sh -c '[ "$(docker inspect -f "{{.State.ExitCode}}" ended)" = 7 ]'
check 'images' docker image inspect mine:1
check 'a new container on a volume of before' sh -c 'docker run --rm -v kept:/data caisson/hello cat /data/index.html | grep -q from-the-volume'
check 'stop' docker stop -t 5 counter
check 'start, in a VM of this release' docker start counter
check 'its log, with what was before' sh -c 'docker logs counter | head -n 1 | grep -qx 1'
check 'removal' docker rm -f counter web frozen ended
check 'volume and network' sh -c 'docker volume rm kept && docker network rm apart'
stop
say "$passed passed: $previous_version to $(node -p 'require("./package.json").version')"
