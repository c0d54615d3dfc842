#!/usr/bin/env bash
# `npm run test:buildkit`: the tests of BuildKit's own client against Caisson (README.md beside this file). Arguments go to main.ts.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$root_dir"
version=v0.32.0
dir=${CAISSON_BUILDKIT_SUITE_DIR:-$root_dir/build/buildkit-suite}
mkdir -p "$dir"
if [ "$(cat "$dir/version" 2>/dev/null)" != "$version" ]; then
  command -v go >/dev/null || die 'the suite is a Go program: it needs go 1.21 or newer, which fetches the one that the suite wants'
  export GOPATH=$dir/go GOCACHE=$dir/cache GOTOOLCHAIN=auto GOFLAGS=-modcacherw CGO_ENABLED=0
  say "fetching BuildKit $version and compiling its tests: minutes"
  source=$(go mod download -json "github.com/moby/buildkit@$version" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
  # a module of the cache is read-only, and its tests are not those of a main module
  rm -rf "$dir/src"
  cp -r "$source" "$dir/src"
  chmod -R u+w "$dir/src"
  mkdir -p "$dir/bin"
  (cd "$dir/src" && nice go test -c -o "$dir/bin/client.test" ./client && nice go build -o "$dir/bin/buildctl" ./cmd/buildctl)
  printf '%s\n' "$version" >"$dir/version"
fi
if [[ " $* " = *' --builders '* ]] && [ ! -x "$dir/bin/buildkitd" ]; then
  export GOPATH=$dir/go GOCACHE=$dir/cache GOTOOLCHAIN=auto GOFLAGS=-modcacherw CGO_ENABLED=0
  say 'compiling buildkitd'
  (cd "$dir/src" && nice go build -o "$dir/bin/buildkitd" ./cmd/buildkitd)
fi
bash scripts/setup.sh test
bash scripts/fetch-dockerd.sh >/dev/null || say 'no dockerd with BuildKit'
npx tsc -p test/buildkit-suite/tsconfig.json
exec node build/buildkit-suite/js/test/buildkit-suite/main.js "$dir" "$@"
