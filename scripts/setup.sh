#!/usr/bin/env bash
# Installs and builds what is missing; a second run finds nothing to do. `setup.sh test` adds what the tests need, `setup.sh web` what those of
# the page need, too.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root_dir"
mkdir -p build

needs='run build cli'
[ "${1:-}" = test ] && needs='run build test'
[ "${1:-}" = web ] && needs='run build test web'

wanted_packages() {
  local need package why
  while read -r need package why; do
    case " $needs " in *" $need "*) printf '%s %s\n' "$need" "$package" ;; esac
  done < <(grep -v '^ *\(#\|$\)' scripts/packages.txt)
}

# Prints the packages to install, one a line.
missing_packages() {
  local installed need package
  installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
  wanted_packages | while read -r need package; do
    [ "$need" = cli ] && command -v docker >/dev/null && continue
    grep -qxF -- "$package" <<<"$installed" || printf '%s\n' "$package"
  done | sort -u
}

# Debian starts what it installs. While we install, /usr/sbin/policy-rc.d says no, and services that come with the
# packages are disabled afterwards: this project wants docker's programs, not a second engine running at every boot.
install_packages() {
  local policy=/usr/sbin/policy-rc.d ours='' status=0 service
  if ! [ -e "$policy" ]; then
    printf '#!/bin/sh\n# while caisson installs packages\nexit 101\n' >"$policy"
    chmod 755 "$policy"
    ours=$policy
    trap 'rm -f /usr/sbin/policy-rc.d' EXIT
  fi
  export DEBIAN_FRONTEND=noninteractive
  local apt=(apt-get install -y -q --no-install-recommends -o Dpkg::Use-Pty=0 "$@")
  "${apt[@]}" </dev/null >build/apt.log 2>&1 ||
    { apt-get update -q </dev/null >>build/apt.log 2>&1 && "${apt[@]}" </dev/null >>build/apt.log 2>&1; } || status=$?
  if [ -n "$ours" ]; then
    rm -f "$ours"
    trap - EXIT
  fi
  [ "$status" = 0 ] || { tail -n 15 build/apt.log >&2; die "apt-get could not install: $* (build/apt.log)"; }
  [ -d /run/systemd/system ] || return 0
  for service in docker.service docker.socket containerd.service docker-registry.service; do
    # only what this very run brought: an engine the user already had stays as it was
    grep -qE "^Setting up (${service%%.*}|${service%%.*}\.io) " build/apt.log || continue
    systemctl disable --now "$service" >/dev/null 2>&1 || true
  done
}

packages=()
if command -v dpkg-query >/dev/null; then
  mapfile -t packages < <(missing_packages)
else
  say 'not a Debian system: packages are not checked; see scripts/packages.txt'
fi
if [ ${#packages[@]} -gt 0 ]; then
  if [ "$(id -u)" != 0 ]; then
    say "missing Debian packages: ${packages[*]}"
    say 'install them as root, then run this again:'
    die "  sudo apt-get install -y --no-install-recommends ${packages[*]}"
  fi
  say "installing ${packages[*]}"
  install_packages "${packages[@]}"
fi

command -v node >/dev/null || die 'Node.js 20.20 or newer is needed (https://nodejs.org)'
node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || (a === 20 && b >= 20) ? 0 : 1)' ||
  die "Node.js 20.20 or newer is needed, this is $(node -v)"

if ! node scripts/node-modules-current.cjs; then
  say 'npm ci'
  # the SQLite binding is compiled where its binary cannot be fetched: with the headers that came with node, if any
  prefix=$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")
  if [ -e "$prefix/include/node/node.h" ]; then export npm_config_nodedir=${npm_config_nodedir:-$prefix}; fi
  npm ci --no-audit --no-fund --loglevel=error </dev/null >build/npm.log 2>&1 || { tail -n 30 build/npm.log >&2; die 'npm ci failed (build/npm.log)'; }
fi

# run_if_changed NAME OUTPUT COMMAND PATH…: runs an npm script if OUTPUT is missing or a file under the paths changed.
run_if_changed() {
  local stamp=build/setup-$1.stamp output=$2 script=$3 now
  shift 3
  now=$(fingerprint "$@")
  if [ -e "$output" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$now" ]; then return 0; fi
  say "npm run $script"
  npm run --silent "$script" </dev/null >"build/$script.log" 2>&1 || { tail -n 30 "build/$script.log" >&2; die "npm run $script failed (build/$script.log)"; }
  fingerprint "$@" >"$stamp"
}

# The guest's kernel is fetched by apt, which must know of it.
if [ ! -e build/guest/manifest.json ] && command -v apt-cache >/dev/null && ! apt-cache show linux-image-cloud-amd64 >/dev/null 2>&1; then
  [ "$(id -u)" = 0 ] || die 'apt has no package lists; as root: apt-get update'
  say 'apt-get update'
  apt-get update -q </dev/null >build/apt.log 2>&1 || { tail -n 15 build/apt.log >&2; die 'apt-get update failed (build/apt.log)'; }
fi

run_if_changed build dist/main.js build src tsconfig.json tsconfig.build.json package-lock.json
run_if_changed build:page dist/web-page/index.html build:page web src/docker src/api/v1 src/web package-lock.json
run_if_changed guest build/guest/manifest.json guest guest include native protocol

# The template, which the first container would else wait for. Tests make their own, in directories of their own, and packages need none.
if [ $# = 0 ] && [ "$(id -u)" = 0 ]; then
  node dist/main.js prepare --data-root "$data_root" --run-dir "$run_dir" ${CAISSON_ARGS:-} >build/prepare.log 2>&1 ||
    { tail -n 5 build/prepare.log >&2; say 'no template yet (build/prepare.log): bin/caisson doctor tells more'; }
fi
# Compose v2 and a newer docker command, for the comparison; without them those cases are left out.
if [ "${1:-}" = test ]; then bash scripts/fetch-trixie.sh >/dev/null || say 'no newer docker command and no Compose v2'; fi
if [ "${1:-}" = test ]; then bash scripts/fetch-dockerd.sh >/dev/null || say 'no dockerd with BuildKit'; fi
if [ "${1:-}" = test ]; then bash scripts/fetch-forky.sh >/dev/null || say 'no newest buildx'; fi
if [ "${1:-}" = test ]; then bash scripts/fetch-devcontainers.sh >/dev/null 2>&1 || say 'no Dev Containers CLI'; fi
if [ "${1:-}" = test ]; then bash scripts/fetch-languages.sh >/dev/null 2>&1 || say 'no base images of languages'; fi
if [ "${1:-}" = test ]; then bash scripts/fetch-emulators.sh >/dev/null || say 'no emulators of other processors'; fi
if [ "${1:-}" = test ]; then bash scripts/fetch-kubectl.sh >/dev/null || say 'no kubectl'; fi
if [ "${1:-}" = test ]; then bash scripts/fetch-nfs-server.sh >/dev/null || say 'no NFS server'; fi
say "ready ($(node -p 'require("./package.json").version'))"
