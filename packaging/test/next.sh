#!/usr/bin/env bash
# The same package as a later version, for upgrades: next.sh PACKAGE VERSION OUTPUT. Only what it says of itself is another.
set -euo pipefail
package=$1 version=$2 output=$3
work=$(mktemp -d "$(dirname "$output")/next.XXXXXX")
trap 'rm -rf "$work"' EXIT
commit=feedfacefeedfacefeedfacefeedfacefeedface
renamed() { sed -i "s/\"version\": \"[^\"]*\"/\"version\": \"$version\"/; s/\"commit\": \"[0-9a-f]*\"/\"commit\": \"$commit\"/" "$@"; }
case $package in
*.deb)
  dpkg-deb -R "$package" "$work"
  renamed "$work"/usr/lib/caisson/{build-info,package}.json
  sed -i "s/^Version: .*/Version: $version-1/" "$work/DEBIAN/control"
  (cd "$work" && find usr -type f -print0 | xargs -0 md5sum >DEBIAN/md5sums)
  dpkg-deb --root-owner-group -Zgzip -z1 --build "$work" "$output" >/dev/null
  ;;
*.tgz)
  tar -xzf "$package" -C "$work"
  renamed "$work"/package/package.json "$work"/package/build/package/{build-info,package}.json
  tar -c -C "$work" package | gzip -1 >"$output"
  ;;
esac
