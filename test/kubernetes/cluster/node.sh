#!/usr/bin/env bash
# node.sh NUMBER: a node in a root directory made for it: copies of containerd, runc, the network plugins and kubelet with the libraries that
# they need, and busybox. No path of the host is in it, so that nothing a kubelet does as root can reach the host. (One that shared the host's
# removed its /bin.) Started by control-plane.sh, in whose network it stays; processes, mounts, names and control groups are its own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../../scripts/lib.sh"
number=$1
node=node$number
root=$DIR/$node
# so many Pods fit in a node: /20
pod_range=10.244.$((number * 16)).0/20

# copy FILE TO: a program with its libraries
copy() {
  local library
  install -D "$1" "$root/$2"
  # of a static one there is nothing to tell
  { ldd "$1" 2>/dev/null | grep -o '/[^ ]*' || true; } | while read -r library; do
    [ -e "$root/$library" ] || install -D "$(readlink -f "$library")" "$root/$library"
  done
}

make_root() {
  mkdir -p "$root"/{bin,dev,etc/cni/net.d,etc/containerd/certs.d,etc/kubernetes,proc,run,sys,tmp,var/lib/kubelet,var/lib/containerd,var/log,volumes}
  mkdir -p "$root"/usr/{bin,sbin,lib/cni} "$root"/lib "$root"/lib64
  ln -s bin "$root/sbin"
  cp "$(command -v busybox)" "$root/bin/busybox"
  # inside, where links to /bin/busybox lead to this one
  chroot "$root" /bin/busybox --install -s /bin
  # kubelet calls mount with what only this one knows
  rm "$root/bin/mount" "$root/bin/umount"
  copy "$(command -v mount)" bin/mount
  copy "$(command -v umount)" bin/umount
  for program in containerd containerd-shim-runc-v2 ctr runc; do copy "$(command -v $program)" "bin/$program"; done
  copy "$PROGRAMS/kubelet" bin/kubelet
  for plugin in ptp host-local loopback; do copy "$PROGRAMS/debian/usr/lib/cni/$plugin" "usr/lib/cni/$plugin"; done
  cp "$DIR/pki/ca.crt" "$DIR/pki/$node.conf" "$root/etc/kubernetes/"
  cp "$DIR/pause.tar" "$root/pause.tar"
  printf 'root:x:0:0:root:/root:/bin/sh\n' >"$root/etc/passwd"
  printf 'root:x:0:\n' >"$root/etc/group"
  printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
  printf 'nameserver 10.96.0.10\n' >"$root/etc/resolv.conf"
  printf 'ID=busybox\nPRETTY_NAME="Caisson test node"\n' >"$root/etc/os-release"
  printf '%032x\n' "$number" >"$root/etc/machine-id"
  configure
}

configure() {
  cat >"$root/etc/containerd/config.toml" <<'TOML'
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "127.0.0.1:5000/pause:1"
  # where root may not put itself further from the kernel's choice
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
TOML
  # the registry for all, by a name that Pods reach it by, too
  mkdir "$root/etc/containerd/certs.d/10.89.0.1:5000"
  printf 'server = "%s"\n[host."%s"]\n  capabilities = ["pull", "resolve"]\n' http://10.89.0.1:5000 http://10.89.0.1:5000 \
    >"$root/etc/containerd/certs.d/10.89.0.1:5000/hosts.toml"
  # A pair of interfaces for each Pod, so that everything is routed and rules can see it.
  cat >"$root/etc/cni/net.d/10-pods.conflist" <<JSON
{ "cniVersion": "0.4.0", "name": "pods", "plugins": [{ "type": "ptp", "ipMasq": false, "mtu": 1500,
  "ipam": { "type": "host-local", "ranges": [[{ "subnet": "$pod_range" }]], "routes": [{ "dst": "0.0.0.0/0" }] } }] }
JSON
  cat >"$root/etc/kubernetes/kubelet.yaml" <<YAML
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: 10.89.0.$number
healthzPort: 0
authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: /etc/kubernetes/ca.crt } }
authorization: { mode: Webhook }
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
resolvConf: /etc/resolv.conf
clusterDNS: [10.96.0.10]
clusterDomain: cluster.local
cgroupDriver: cgroupfs
cgroupsPerQOS: true
enforceNodeAllocatable: []
failCgroupV1: false
failSwapOn: false
evictionHard: {}
imageGCHighThresholdPercent: 100
maxPods: 400
registryPullQPS: 0
eventRecordQPS: 0
kubeAPIQPS: 200
kubeAPIBurst: 400
serializeImagePulls: false
YAML
}

# Groups of our own, below which the node believes itself at the root.
join_cgroups() {
  local controllers path hierarchy group file groups
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mkdir -p "/sys/fs/cgroup/caisson-$NAME-$node"
    echo $$ >"/sys/fs/cgroup/caisson-$NAME-$node/cgroup.procs"
    return
  fi
  # at once: what is read changes with each group that is joined
  groups=$(cat /proc/self/cgroup)
  while IFS=: read -r _ controllers path; do
    hierarchy=/sys/fs/cgroup/${controllers#name=}
    [ -n "$controllers" ] && [ -d "$hierarchy" ] || continue
    group=$hierarchy/caisson-$NAME-$node
    mkdir -p "$group"
    for file in cpuset.cpus cpuset.mems; do
      if [ -e "$group/$file" ]; then cat "$hierarchy/$file" >"$group/$file"; fi
    done
    echo $$ >"$group/cgroup.procs"
    echo "$controllers" >>"$DIR/$node.cgroups"
  done <<<"$groups"
}

if [ "${2:-}" != inside ]; then
  make_root
  join_cgroups
  exec unshare --mount --propagation private --pid --ipc --uts --cgroup --fork --kill-child=KILL bash "$0" "$number" inside
fi

hostname "$node"
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
# The host's settings are seen and not changed; the network's are of this namespace.
mount --bind proc/sys proc/sys
mount -o remount,ro,bind proc/sys
mount --bind proc/sys/net proc/sys/net
mount -o remount,rw,bind proc/sys/net
[ ! -e proc/sysrq-trigger ] || mount --bind /dev/null proc/sysrq-trigger
# These kubelet insists on having set: it reads its wish from files of ours.
for setting in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \
  kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
  mkdir -p "settings/$(dirname "${setting%=*}")"
  printf '%s\n' "${setting#*=}" >"settings/${setting%=*}"
  mount --bind "settings/${setting%=*}" "proc/sys/${setting%=*}"
done
mount -t sysfs sysfs sys
mount -o remount,ro,bind sys
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  mount -t cgroup2 cgroup sys/fs/cgroup
  mkdir -p sys/fs/cgroup/node
  echo 1 >sys/fs/cgroup/node/cgroup.procs
  for controller in $(cat sys/fs/cgroup/cgroup.controllers); do echo "+$controller" >sys/fs/cgroup/cgroup.subtree_control || true; done
else
  mount -t tmpfs -o mode=755 cgroup sys/fs/cgroup
  while read -r controllers; do
    mkdir -p "sys/fs/cgroup/${controllers#name=}"
    options=$controllers
    [ "$controllers" = "${controllers#name=}" ] || options=none,$controllers
    mount -t cgroup -o "$options" cgroup "sys/fs/cgroup/${controllers#name=}"
  done <"$DIR/$node.cgroups"
fi
mount -t tmpfs -o mode=755 dev dev
mkdir dev/pts dev/shm dev/mqueue
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 shm dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
for device in null:1:3 zero:1:5 full:1:7 random:1:8 urandom:1:9 tty:5:0 kmsg:1:11; do
  IFS=: read -r file major minor <<<"$device"
  mknod -m 666 "dev/$file" c "$major" "$minor"
done
mount -t tmpfs -o mode=755 run run
mkdir old
pivot_root . old
exec /bin/sh -c '
set -e
umount -l /old
rmdir /old
mount --make-rshared /
export PATH=/bin:/usr/bin:/usr/lib/cni HOME=/ CONTAINERD_ADDRESS=/run/containerd/containerd.sock
cd /
containerd >/var/log/containerd.log 2>&1 &
until ctr version >/dev/null 2>&1; do sleep 0.1; done
ctr -n k8s.io images import /pause.tar >/dev/null
rm /pause.tar
kubelet --config /etc/kubernetes/kubelet.yaml --kubeconfig "/etc/kubernetes/$0.conf" --hostname-override "$0" \
  --node-ip "10.89.0.$1" --root-dir /var/lib/kubelet &
kubelet=$!
wait $kubelet
' "$node" "$number"
