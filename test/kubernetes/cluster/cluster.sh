#!/usr/bin/env bash
# A Kubernetes cluster of this machine's own, for tests and for development; several can run beside each other, by name.
#
#   cluster.sh start NAME [--nodes N] [--policies]   in the background; returns when its nodes are ready
#   cluster.sh run NAME [--nodes N] [--policies]     in the foreground, until it is told to end or whoever started it is gone
#   cluster.sh policies NAME                         enforces NetworkPolicies in it, as --policies does, until it is told to end
#   cluster.sh exec NAME COMMAND…                    in the cluster's network, with KUBECONFIG of its administrator
#   cluster.sh stop NAME                             ends every process of it, and removes its files
#
# Everything lives in namespaces of its own: the network (the API answers at https://127.0.0.1:6443 there, registries at 127.0.0.1:5000 and,
# for alice with the password secret, 127.0.0.1:5001), processes, mounts; each node has a root directory of its own (node.sh). The host's
# root directory is watched: should it change, the cluster is ended at once.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../../scripts/lib.sh"

usage() { die 'usage: cluster.sh start|run|policies|exec|stop NAME …'; }
[ $# -ge 2 ] || usage
verb=$1 name=$2
shift 2
[[ $name =~ ^[a-z0-9]{1,12}$ ]] || die "a cluster's name is up to twelve letters and digits: $name"
dir=/tmp/caisson-kubernetes-$name
[ "$(id -u)" = 0 ] || die 'a test cluster needs root'

# What a program that mistakes the host for its own would change. Not times: /tmp's changes all the time.
host_root() {
  # directories come and go by right in these
  LC_ALL=C ls -la / | awk 'NR > 1 && $NF != ".." { print $1, $3, $4, $9, $10, $11 }'
  LC_ALL=C ls -l /usr | awk 'NR > 1 { print $1, $9, $10, $11 }'
}

cgroups_of_cluster() { find /sys/fs/cgroup -maxdepth 2 -type d -name "caisson-$name-node*" 2>/dev/null; }

remove_cgroups() {
  local group tries
  for ((tries = 0; tries < 50; tries++)); do
    cgroups_of_cluster | while read -r group; do find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true; done
    [ -z "$(cgroups_of_cluster)" ] && return 0
    sleep 0.1 # the kernel's own work after the last process went
  done
  say "control groups of the cluster are left: $(cgroups_of_cluster | tr '\n' ' ')"
}

running() { [ -e "$dir/pid" ] && kill -0 "$(cat "$dir/pid")" 2>/dev/null; }

run_cluster() {
  local nodes=1 policies='' before now programs network unshare status=0 told=''
  while [ $# -gt 0 ]; do
    case $1 in
      --nodes) nodes=$2; shift 2 ;;
      --policies) policies=yes; shift ;;
      --registry) export REGISTRY_SEED=$2; shift 2 ;;
      *) usage ;;
    esac
  done
  running && die "a cluster $name runs already"
  programs=$(bash "$here/programs.sh")
  network=$(bash "$here/programs.sh" network)
  rm -rf --one-file-system "$dir"
  mkdir -p "$dir"
  echo $$ >"$dir/pid"
  before=$(host_root)
  remove_cgroups
  # The new namespaces' process 1 is ended with this script, however it ends, and everything in them with it.
  NAME=$name DIR=$dir PROGRAMS=$programs NETWORK_PROGRAMS=$network NODES=$nodes POLICIES=$policies setpriv --pdeathsig KILL \
    unshare --net --mount --propagation private --ipc --uts --pid --fork --kill-child=KILL --mount-proc \
    bash "$here/control-plane.sh" >"$dir/log" 2>&1 &
  unshare=$!
  # as the host numbers it: for those who enter its network
  until pgrep --parent "$unshare" --exact bash >"$dir/init.pid"; do
    kill -0 "$unshare" 2>/dev/null || break
    sleep 0.05
  done
  # shellcheck disable=SC2064 # its pid of now
  trap "told=yes; kill -KILL $unshare 2>/dev/null" TERM INT HUP
  while kill -0 "$unshare" 2>/dev/null; do
    now=$(host_root)
    if [ "$now" != "$before" ]; then
      kill -KILL "$unshare"
      diff <(printf '%s\n' "$before") <(printf '%s\n' "$now") >"$dir.root-changed" || true
      say "the host's root directory changed; the cluster was ended: $dir.root-changed"
      status=70
      break
    fi
    sleep 1 &
    wait $! || true
  done
  wait "$unshare" 2>/dev/null || true
  if [ -z "$told" ] && [ $status = 0 ]; then
    # What it has said is all that tells why.
    mkdir -p "$dir.ended"
    cp "$dir"/log "$dir"/*.log "$dir.ended"
    say "the cluster ended by itself: $(tail -n 1 "$dir/log"); $dir.ended has the logs"
  fi
  remove_cgroups
  if [ -e "$dir/ready" ] && [ $status = 0 ]; then rm -rf --one-file-system "$dir"; else rm -f "$dir/pid"; fi
  exit $status
}

start_cluster() {
  local started=$SECONDS keeper
  running && die "a cluster $name runs already"
  bash "$here/programs.sh" >/dev/null
  bash "$here/programs.sh" network >/dev/null
  rm -rf --one-file-system "$dir"
  setsid bash "${BASH_SOURCE[0]}" run "$name" "$@" </dev/null >"/tmp/caisson-kubernetes-$name.log" 2>&1 &
  keeper=$!
  until [ -e "$dir/ready" ]; do
    kill -0 "$keeper" 2>/dev/null || { tail -n 30 "$dir/log" "/tmp/caisson-kubernetes-$name.log" >&2; die 'the cluster did not start'; }
    [ $((SECONDS - started)) -lt 600 ] || { tail -n 30 "$dir/log" >&2; kill "$keeper"; die 'the cluster was not ready in ten minutes'; }
    sleep 0.2
  done
  say "cluster $name is ready after $((SECONDS - started)) s: $dir/admin.conf in the network of process $(cat "$dir/init.pid")"
}

case $verb in
  run) run_cluster "$@" ;;
  start) start_cluster "$@" ;;
  policies)
    running || die "no cluster $name runs"
    programs=$(bash "$here/programs.sh")
    network=$(bash "$here/programs.sh" network)
    DIR=$dir PROGRAMS=$programs NETWORK_PROGRAMS=$network exec nsenter --net="/proc/$(cat "$dir/init.pid")/ns/net" -- \
      unshare --mount --propagation private bash "$here/policies.sh"
    ;;
  exec)
    running || die "no cluster $name runs"
    programs=$(bash "$here/programs.sh")
    export KUBECONFIG=$dir/admin.conf PATH=$programs:$PATH
    exec nsenter --net="/proc/$(cat "$dir/init.pid")/ns/net" -- "$@"
    ;;
  stop)
    if running; then
      pid=$(cat "$dir/pid")
      kill -TERM "$pid"
      while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    fi
    remove_cgroups
    rm -rf --one-file-system "$dir"
    rm -rf "/tmp/caisson-kubernetes-$name.log" "$dir.ended"
    ;;
  *) usage ;;
esac
