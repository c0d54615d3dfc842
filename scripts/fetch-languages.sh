#!/usr/bin/env bash
# Puts the contexts of base images for the tests of real Dockerfiles into build/languages: Go and Java of Debian, cut down to what a small
# program needs, and the Node that runs here with its npm. Each has a Dockerfile that copies it onto debian:12.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$root_dir/build/languages
[ -e "$dir/stamp" ] && exit 0
rm -rf "$dir"
mkdir -p "$dir"

# base LANGUAGE PATH [LINE…]: the context whose root directory is there already.
base() {
  local to=$dir/$1 path=$2
  shift 2
  printf '%s\n' 'FROM debian:12' 'COPY root /' "ENV PATH=$path:/usr/sbin:/usr/bin:/sbin:/bin" "$@" >"$to/Dockerfile"
}

# Go: the compiler, and the packages of its library that these need
release=bookworm unpack_next_release "$dir/fetched-go" golang-1.19-go golang-1.19-src
from=$dir/fetched-go/usr/lib/go-1.19
# Debian has the sources and the tools elsewhere
goroot=$dir/goroot
mkdir -p "$goroot"
cp -a "$from/." "$goroot/"
rm -rf "$goroot/src" "$goroot/test" "$goroot/api" "$goroot/misc"
cp -a "$dir/fetched-go/usr/share/go-1.19/." "$goroot/" 2>/dev/null || true
to=$dir/go/root/usr/local/go
mkdir -p "$to/bin" "$to/pkg/tool/linux_amd64" "$to/pkg/linux_amd64"
cp "$goroot/bin/go" "$to/bin/"
cp "$goroot"/pkg/tool/linux_amd64/{compile,link,asm,buildid} "$to/pkg/tool/linux_amd64/"
[ ! -d "$goroot/pkg/include" ] || cp -r "$goroot/pkg/include" "$to/pkg/"
[ ! -f "$goroot/VERSION" ] || cp "$goroot/VERSION" "$to/"
GOROOT=$goroot GOTOOLCHAIN=local GOFLAGS=-mod=mod CGO_ENABLED=0 "$goroot/bin/go" list -deps fmt os strings embed runtime/cgo 2>/dev/null |
  while read -r package; do
    mkdir -p "$to/src/$package" "$(dirname "$to/pkg/linux_amd64/$package")"
    find "$goroot/src/$package/" -maxdepth 1 -type f ! -name '*_test.go' -exec cp -t "$to/src/$package/" {} +
    [ ! -f "$goroot/pkg/linux_amd64/$package.a" ] || cp "$goroot/pkg/linux_amd64/$package.a" "$to/pkg/linux_amd64/$package.a"
  done
base go /usr/local/go/bin 'ENV CGO_ENABLED=0 GOFLAGS=-buildvcs=false GOPROXY=off'

# Java: a run-time image with the compiler
release=bookworm unpack_next_release "$dir/fetched-java" openjdk-17-jdk-headless openjdk-17-jre-headless
jdk=$(echo "$dir"/fetched-java/usr/lib/jvm/java-17-openjdk-*)
mkdir -p "$dir/java/root/usr/local"
# what its configuration links to is below /etc
cp -rL "$jdk/conf" "$jdk/conf.own" 2>/dev/null || cp -r "$dir/fetched-java/etc/java-17-openjdk" "$jdk/conf.own"
"$jdk/bin/jlink" --module-path "$jdk/jmods" --add-modules java.base,jdk.compiler,jdk.jartool --strip-debug --no-header-files \
  --no-man-pages --output "$dir/java/root/usr/local/java"
base java /usr/local/java/bin

# Node
node=$(readlink -f "$(command -v node)")
npm=$(dirname "$(dirname "$node")")/lib/node_modules/npm
[ -d "$npm" ] || die "no npm beside $node"
mkdir -p "$dir/node/root/usr/local/bin" "$dir/node/root/usr/local/lib/node_modules"
cp "$node" "$dir/node/root/usr/local/bin/node"
cp -r "$npm" "$dir/node/root/usr/local/lib/node_modules/npm"
ln -s ../lib/node_modules/npm/bin/npm-cli.js "$dir/node/root/usr/local/bin/npm"
base node /usr/local/bin

rm -rf "$dir"/fetched-* "$goroot"
touch "$dir/stamp"
du -sh "$dir"/*/root
