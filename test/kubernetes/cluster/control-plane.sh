#!/usr/bin/env bash
# Process 1 of the cluster's namespaces, of which cluster.sh makes it: the network, registries, Kubernetes' control plane, then its nodes.
# Ends, and everything with it, when one of these does. From the environment: NAME, DIR, PROGRAMS,
# NETWORK_PROGRAMS, NODES, POLICIES, REGISTRY_SEED.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../../scripts/lib.sh"
# shellcheck source=scripts/docker-archive.sh
. "$root_dir/scripts/docker-archive.sh"

# Programs without which there is no cluster, by their pids.
declare -A started

network() {
  local i
  hostname "cluster-$NAME"
  ip link set lo up
  sysctl -qw net.ipv4.ip_forward=1 net.ipv4.ip_unprivileged_port_start=0
  # An address for each node, on an interface that leads nowhere. Pods' addresses are routed here, each by its own pair of interfaces.
  ip link add uplink type veth peer name nowhere
  ip link set uplink up && ip link set nowhere up
  for ((i = 1; i <= NODES; i++)); do ip address add "10.89.0.$i/24" dev uplink; done
  ip route add default dev uplink
  # what a Pod knows of the API's Service, without a proxy on each node
  nft -f - <<'NFT'
table ip services {
  chain prerouting { type nat hook prerouting priority dstnat; ip daddr 10.96.0.1 tcp dport 443 dnat to 10.89.0.1:6443; }
  chain output { type nat hook output priority -100; ip daddr 10.96.0.1 tcp dport 443 dnat to 10.89.0.1:6443; }
}
NFT
}

# wait_for SECONDS WHAT COMMAND…
wait_for() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || die "$what: not ready in time"
    sleep 0.1
  done
}

# registry PORT [HTPASSWD-LINE]
registry() {
  local dir=$DIR/registry-$1 auth=''
  mkdir -p "$dir/storage"
  if [ $# = 1 ] && [ -n "${REGISTRY_SEED:-}" ]; then cp -a "$REGISTRY_SEED/." "$dir/storage"; fi
  if [ $# = 2 ]; then
    printf '%s\n' "$2" >"$dir/htpasswd"
    auth="auth: { htpasswd: { realm: test, path: $dir/htpasswd } }"
  fi
  cat >"$dir/config.yml" <<YAML
version: 0.1
log: { level: warn }
storage: { filesystem: { rootdirectory: $dir/storage }, delete: { enabled: true } }
http: { addr: '0.0.0.0:$1' }
$auth
YAML
  docker-registry serve "$dir/config.yml" >"$dir/log" 2>&1 &
  started[$!]="registry $1"
}

control_plane() {
  local pki=$DIR/pki debian=$PROGRAMS/debian
  "$debian/usr/bin/etcd" --data-dir "$DIR/etcd" --unsafe-no-fsync --log-level warn \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380 >"$DIR/etcd.log" 2>&1 &
  started[$!]=etcd
  "$PROGRAMS/kube-apiserver" --etcd-servers http://127.0.0.1:2379 \
    --bind-address 0.0.0.0 --secure-port 6443 --advertise-address 10.89.0.1 --service-cluster-ip-range 10.96.0.0/16 \
    --client-ca-file "$pki/ca.crt" --tls-cert-file "$pki/apiserver.crt" --tls-private-key-file "$pki/apiserver.key" \
    --kubelet-client-certificate "$pki/kubelet-client.crt" --kubelet-client-key "$pki/kubelet-client.key" \
    --kubelet-preferred-address-types InternalIP \
    --service-account-issuer https://kubernetes.default.svc --service-account-key-file "$pki/service-accounts.pub" \
    --service-account-signing-key-file "$pki/service-accounts.key" \
    --authorization-mode Node,RBAC --enable-admission-plugins NodeRestriction --allow-privileged \
    --shutdown-delay-duration 0s >"$DIR/apiserver.log" 2>&1 &
  started[$!]=kube-apiserver
  export KUBECONFIG=$pki/admin.conf
  wait_for 300 'the API' "$PROGRAMS/kubectl" get --raw /readyz
  "$PROGRAMS/kube-controller-manager" --kubeconfig "$pki/controller-manager.conf" --leader-elect=false --bind-address 127.0.0.1 \
    --use-service-account-credentials --service-account-private-key-file "$pki/service-accounts.key" --root-ca-file "$pki/ca.crt" \
    --cluster-signing-cert-file "$pki/ca.crt" --cluster-signing-key-file "$pki/ca.key" >"$DIR/controller-manager.log" 2>&1 &
  started[$!]=kube-controller-manager
  "$PROGRAMS/kube-scheduler" --kubeconfig "$pki/scheduler.conf" --leader-elect=false --bind-address 127.0.0.1 \
    >"$DIR/scheduler.log" 2>&1 &
  started[$!]=kube-scheduler
}

# Services for all nodes, whose network is one.
services() {
  "$NETWORK_PROGRAMS/kube-proxy" --kubeconfig "$DIR/pki/admin.conf" --hostname-override node1 --proxy-mode iptables \
    --cluster-cidr 10.244.0.0/16 --conntrack-max-per-core 0 --conntrack-tcp-timeout-established 0 --conntrack-tcp-timeout-close-wait 0 \
    --healthz-bind-address 127.0.0.1:10256 --metrics-bind-address 127.0.0.1:10249 --iptables-localhost-nodeports=false >"$DIR/proxy.log" 2>&1 &
  started[$!]=kube-proxy
}

# The image of what holds a Pod's namespaces, and one to run when there are no others.
images() {
  busybox_rootfs "$DIR/busybox"
  docker_archive "$DIR/busybox" 127.0.0.1:5000/pause:1 "$DIR/pause.tar" '["sleep","2147483647"]'
  docker_archive "$DIR/busybox" 127.0.0.1:5000/busybox:latest "$DIR/busybox.tar" '["sh"]'
}

network
names=()
for ((i = 1; i <= NODES; i++)); do names+=("node$i"); done
mkdir -p "$DIR/pki"
images &
making_images=$!
bash "$here/certificates.sh" "$DIR/pki" "${names[@]}"
ln -s pki/admin.conf "$DIR/admin.conf"
registry 5000
# alice, with the password secret
registry 5001 "alice:\$2y\$05\$RDm.jqMg1oBgKR0U.9.eNeK0XsyL7MLY.P7iapDQ6y5UAwJwjdv3O"
control_plane
wait $making_images
for ((i = 1; i <= NODES; i++)); do
  bash "$here/node.sh" "$i" >"$DIR/node$i.log" 2>&1 &
  started[$!]=node$i
done
node "$here/provisioner.cjs" "$DIR" >"$DIR/provisioner.log" 2>&1 &
started[$!]=provisioner
"$PROGRAMS/kubectl" apply -f "$here/cluster.yaml"
for node in "${names[@]}"; do
  wait_for 300 "$node" "$PROGRAMS/kubectl" get node "$node"
  "$PROGRAMS/kubectl" wait --for condition=Ready --timeout 300s "node/$node"
done
services
if [ -n "${POLICIES:-}" ]; then
  unshare --mount --propagation private bash "$here/policies.sh" >"$DIR/policies.log" 2>&1 &
  started[$!]=policies
  wait_for 120 'the enforcement of policies' grep -q 'policies are enforced' "$DIR/policies.log"
fi
# Pods need their namespace's service account
wait_for 60 'the default service account' "$PROGRAMS/kubectl" get serviceaccount default
if [ -z "${REGISTRY_SEED:-}" ]; then
  skopeo copy --quiet --dest-tls-verify=false "docker-archive:$DIR/busybox.tar" docker://127.0.0.1:5000/busybox:latest
fi
touch "$DIR/ready"
code=0
wait -n -p ended || code=$?
die "${started[${ended:-0}]:-a program of the cluster} ended with $code"
