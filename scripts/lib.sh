# Shared by the scripts: where things are, messages, Debian's next release. Sourced, not run.
# shellcheck shell=bash
root_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# shellcheck disable=SC2034 # of setup.sh
run_dir=${CAISSON_RUN_DIR:-/run/caisson}
# shellcheck disable=SC2034
data_root=${CAISSON_DATA_ROOT:-/var/lib/caisson}
# shellcheck disable=SC2034 # Files side by side, since most cases wait more than they work; few cases of each, for two cores.
compat_jest=(--maxWorkers=3 --maxConcurrency=3)

say() { printf '%s\n' "caisson: $*" >&2; }
die() {
  printf '%s\n' "caisson: $*" >&2
  exit 1
}

# Writes a digest of names, sizes and times of all files under the given paths: cheap, and changes when a file does.
fingerprint() {
  find "$@" -type f -printf '%p %s %T@\n' 2>/dev/null | LC_ALL=C sort | sha256sum | cut -d' ' -f1
}

# unpack_next_release DIR PACKAGE…: fetches packages of Debian's next release (or of $release, for $architecture) and unpacks them into DIR. apt works on lists and a cache
# of its own, with this machine's mirror and keys.
unpack_next_release() {
  local dir=$1 from=${release:-trixie} of=${architecture:-$(dpkg --print-architecture)} uri package
  shift
  uri=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' | sed -n 's/ bookworm$//p' | grep '/debian/$' | head -n 1)
  [ -n "$uri" ] || die 'no Debian mirror among the package sources'
  mkdir -p "$dir"/apt/{lists/partial,cache/archives/partial}
  printf 'deb [signed-by=%s] %s %s main\n' /usr/share/keyrings/debian-archive-keyring.gpg "$uri" "$from" >"$dir/apt/sources.list"
  local apt=(apt-get -q -o Dir::Etc::SourceList="$dir/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null
    -o Dir::State::Lists="$dir/apt/lists" -o Dir::Cache="$dir/apt/cache"
    -o APT::Architecture="$of" -o APT::Architectures="$of" -o APT::Sandbox::User="$(id -un)")
  "${apt[@]}" update >"$dir/apt.log" 2>&1 || { tail -n 5 "$dir/apt.log" >&2; die "no lists of the next release ($dir/apt.log)"; }
  (cd "$dir" && "${apt[@]}" download "$@" >>apt.log 2>&1) ||
    { tail -n 5 "$dir/apt.log" >&2; die "could not be fetched: $*"; }
  for package in "$dir"/*.deb; do dpkg-deb -x "$package" "$dir"; done
  rm -rf "$dir"/apt "$dir"/*.deb
}
