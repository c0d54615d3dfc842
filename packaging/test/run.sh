#!/usr/bin/env bash
# `npm run test:packages [bookworm|trixie…]`: builds both packages twice (equal bytes), puts them into fresh Debians, runs a container there, and
# takes them away again: nothing may be left. Needs root. Debian comes from where this machine's apt has it.
#   CAISSON_PACKAGES_ONLY=build|deb|npm|service   a part of it; service: the Debian package under systemd
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$root_dir"
work=$root_dir/build/packages-test
only=${CAISSON_PACKAGES_ONLY:-all}
releases=("$@")
[ $# -gt 0 ] || releases=(bookworm trixie)
[ "$(id -u)" = 0 ] || die 'needs root: it makes Debian trees and runs daemons in them'
mkdir -p "$work"
wants() { [ "$only" = all ] || [ "$only" = "$1" ]; }
passed=0
ok() { passed=$((passed + 1)) && say "ok: $*"; }

CAISSON_PACKAGE_BUILT=''
bash scripts/setup.sh build
export CAISSON_PACKAGE_BUILT=1
version=$(node -p 'require("./package.json").version')
npm_package=$work/caisson-$version.tgz
deb_package=$work/caisson_$version-1_amd64.deb

build_packages() {
  npm pack --silent --pack-destination "$work" >/dev/null
  bash packaging/deb/build.sh
  mv "caisson_$version-1_amd64.deb" "$work/"
}
if wants build || [ ! -e "$npm_package" ] || [ ! -e "$deb_package" ]; then
  build_packages
fi
if wants build; then
  sha256sum "$npm_package" "$deb_package" >"$work/first"
  build_packages
  sha256sum --quiet -c "$work/first" || die 'two builds of one commit differ'
  ok "two builds are equal: $(du -h "$npm_package" "$deb_package" | cut -f1 | paste -sd' ')"
  if command -v lintian >/dev/null; then
    lintian --fail-on error,warning "$deb_package"
    ok 'lintian has nothing to say'
  else
    say 'no lintian here: left out'
  fi
fi

# next_of PACKAGE: it as a later version, made once
next_version=${version%.*}.$((${version##*.} + 1))
next_of() {
  local next=$work/next/$(basename "$1")
  if [ ! "$next" -nt "$1" ]; then
    mkdir -p "$work/next"
    bash packaging/test/next.sh "$1" "$next_version" "$next"
  fi
  printf '%s\n' "$next"
}

mirror() {
  apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | sed -n 's# bookworm$##p' | grep '/debian/$' | head -n 1
}

# debian RELEASE: its bare tree, made once
debian() {
  local tree=$work/$1.root uri
  if [ ! -e "$tree.done" ]; then
    uri=$(mirror)
    [ -n "$uri" ] || die 'no Debian mirror among the package sources'
    rm -rf "$tree"
    debootstrap --variant=minbase "$1" "$tree" "$uri" >"$work/$1.log" 2>&1 || { tail -n 5 "$work/$1.log" >&2; die "no $1"; }
    touch "$tree.done"
  fi
  printf '%s\n' "$tree"
}

# A mount namespace of its own for each: whatever happens, nothing stays mounted here.
for release in "${releases[@]}"; do
  tree=$(debian "$release")
  for kind in deb npm service; do
    wants $kind || [ "$only" = all ] || continue
    [ "$only" = build ] && continue
    package=$deb_package
    [ $kind != npm ] || package=$npm_package
    say "$release, $kind: $(basename "$package")"
    unshare --mount --propagation private bash packaging/test/one.sh "$kind" "$tree" "$package" "$work/apt-$release" "$(mirror)" "$release" \
      "$(next_of "$package")" "$next_version" ||
      die "$release, $kind: failed"
    ok "$release, $kind"
  done
done
say "$passed passed"
