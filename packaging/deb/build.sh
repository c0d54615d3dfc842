#!/usr/bin/env bash
# `npm run package:deb`: caisson_VERSION_amd64.deb in the project's directory. The same commit, tools and guest give the same bytes.
#   CAISSON_PACKAGE_BUILT=1        the project is built already
#   CAISSON_DEB_COMPRESSION=gzip   in a quarter of the time, for trying things
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib.sh"
cd "$root_dir"
umask 022
export LC_ALL=C TZ=UTC
[ -n "${CAISSON_PACKAGE_BUILT:-}" ] || bash scripts/setup.sh build
node packaging/stage.mjs debian

stage=build/package
tree=build/deb
info() { node -p "require('./$stage/build-info.json').$1"; }
version=$(info version)-1
SOURCE_DATE_EPOCH=$(date -d "$(info date)" +%s)
export SOURCE_DATE_EPOCH
maintainer=${CAISSON_MAINTAINER:-Caisson developers <developers@caisson.example>}

rm -rf "$tree"
mkdir -p "$tree"/{DEBIAN,etc/caisson,usr/{bin,lib/systemd/system,share}}
cp -a "$stage" "$tree/usr/lib/caisson"
ln -s ../lib/caisson/bin/caisson "$tree/usr/bin/caisson"
install -m 644 packaging/systemd/caisson.{service,socket} "$tree/usr/lib/systemd/system/"
install -m 644 packaging/deb/daemon.json "$tree/etc/caisson/daemon.json"

doc=$tree/usr/share/doc/caisson
mkdir -p "$doc"
mv "$tree/usr/lib/caisson/docs" "$doc/docs"
mv "$tree/usr/lib/caisson/"{README.md,NOTICE} "$doc/"
rm "$tree/usr/lib/caisson/LICENSE" # the copyright file has it
{
  sed "s/@YEAR@/$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y)/" packaging/deb/copyright
  sed 's/^/ /; s/^ $/ ./' "$tree/usr/lib/caisson/THIRD-PARTIES"
} >"$doc/copyright"
rm "$tree/usr/lib/caisson/THIRD-PARTIES"
# compress FILE: without its name and time
compress() { gzip -9n "$1"; }
mv "$tree/usr/lib/caisson/CHANGELOG.md" "$doc/changelog"
compress "$doc/changelog"
cat >"$doc/changelog.Debian" <<TEXT
caisson ($version) unstable; urgency=medium

  * See /usr/share/doc/caisson/changelog.gz.

 -- $maintainer  $(date -u -R -d "@$SOURCE_DATE_EPOCH")
TEXT
compress "$doc/changelog.Debian"

command=$tree/usr/bin/caisson
put() { mkdir -p "$tree/$(dirname "$1")" && cat >"$tree/$1"; }
"$command" completion bash | put usr/share/bash-completion/completions/caisson
"$command" completion zsh | put usr/share/zsh/vendor-completions/_caisson
"$command" completion fish | put usr/share/fish/vendor_completions.d/caisson.fish
"$command" __man | put usr/share/man/man8/caisson.8
compress "$tree/usr/share/man/man8/caisson.8"
install -D -m 644 packaging/deb/lintian-overrides "$tree/usr/share/lintian/overrides/caisson"

# What runs containers, of scripts/packages.txt; the C and C++ libraries by what our binaries ask of them.
packages=$(sed -n 's/^run  *\([^ ]*\) .*/\1/p' scripts/packages.txt)
optional='git openssh-client'
needed() { grep -vxF "$(tr ' ' '\n' <<<"$optional")" <<<"$packages" | grep -vx 'util-linux' | paste -sd, | sed 's/,/, /g'; }
# newest_symbol PREFIX: the highest version of that library's symbols that a binary of ours needs
newest_symbol() {
  objdump -T "$tree"/usr/lib/caisson/{node/bin/node,node_modules/better-sqlite3/build/Release/better_sqlite3.node} 2>/dev/null |
    grep -o "$1_[0-9.]*" | sed "s/$1_//" | sort -Vu | tail -n 1
}
cat >"$tree/DEBIAN/control" <<TEXT
Package: caisson
Version: $version
Architecture: amd64
Maintainer: $maintainer
Installed-Size: $(du -sk --apparent-size "$tree" | cut -f1)
Depends: libc6 (>= $(newest_symbol GLIBC)), libgcc-s1, libstdc++6 (>= 12), passwd, $(needed)
Recommends: git, openssh-client, docker-cli | docker-ce-cli
Suggests: docker.io, docker-compose, qemu-user-static
Section: admin
Priority: optional
Homepage: https://caisson.example/
Description: container engine with a virtual machine for every container
 Caisson speaks Docker's API: the docker command, SDKs and whatever else talks
 to a Docker socket work as they are. What they start runs in a virtual machine
 of its own, cloned from a booted template in a fraction of a second.
 .
 The guest's kernel and the Node.js that the daemon runs on are in the package.
TEXT
sed -i '/^Homepage:/d' "$tree/DEBIAN/control"
echo /etc/caisson/daemon.json >"$tree/DEBIAN/conffiles"
install -m 755 packaging/deb/{postinst,prerm,postrm} "$tree/DEBIAN/"
(cd "$tree" && find usr -type f -printf '%P\n' | sort | sed 's#^#usr/#' | xargs -d '\n' md5sum >DEBIAN/md5sums)

find "$tree" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
package=caisson_${version}_amd64.deb
dpkg-deb --root-owner-group "-Z${CAISSON_DEB_COMPRESSION:-xz}" --build "$tree" "$package" >/dev/null
say "$package"
