#!/usr/bin/env bash
# Fetches the docker command, Compose and buildx of Debian's next release into build/trixie, for tests with newer clients. Installs
# nothing: apt works on lists and a cache of its own, with this machine's mirror and keys.
set -euo pipefail
# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
dir=$root_dir/build/trixie
plugins=$dir/usr/libexec/docker/cli-plugins
[ -x "$dir/usr/bin/docker" ] && [ -x "$plugins/docker-compose" ] && [ -x "$plugins/docker-buildx" ] && exit 0

uri=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | sed -n 's/ bookworm$//p' | grep '/debian/$' | head -n 1)
[ -n "$uri" ] || die 'no Debian mirror among the package sources'
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
mkdir -p "$dir"/apt/{lists/partial,cache/archives/partial}
printf 'deb [signed-by=%s] %s trixie main\n' "$keyring" "$uri" >"$dir/apt/sources.list"
apt=(apt-get -q -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
  -o Dir::State::Lists="$dir/apt/lists" -o Dir::Cache="$dir/apt/cache" -o APT::Sandbox::User="$(id -un)")
"${apt[@]}" update >"$dir/apt.log" 2>&1 || { tail -n 5 "$dir/apt.log" >&2; die "no lists of the next release ($dir/apt.log)"; }
(cd "$dir" && "${apt[@]}" download docker-cli docker-compose docker-buildx >>apt.log 2>&1) ||
  { tail -n 5 "$dir/apt.log" >&2; die 'docker-cli, docker-compose and docker-buildx could not be fetched'; }
for package in "$dir"/*.deb; do dpkg-deb -x "$package" "$dir"; done
rm -rf "$dir"/apt "$dir"/*.deb
"$dir/usr/bin/docker" --version
