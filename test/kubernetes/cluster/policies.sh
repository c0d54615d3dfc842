#!/usr/bin/env bash
# Enforces the NetworkPolicies of the cluster, whose network it is in, for as long as it runs: kube-network-policies decides of the first packet
# of each connection. From the environment: DIR, PROGRAMS, NETWORK_PROGRAMS. In a mount namespace of its own.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=scripts/lib.sh
. "$here/../../../scripts/lib.sh"
export KUBECONFIG=$DIR/pki/admin.conf
pods=10.244.0.0/16

# It only knows how to be a Pod.
mount -t tmpfs -o mode=755 run /run
account=/run/secrets/kubernetes.io/serviceaccount
mkdir -p $account
cp "$DIR/pki/ca.crt" $account/ca.crt
printf kube-system >$account/namespace
"$PROGRAMS/kubectl" apply -f "$here/policies.yaml" >/dev/null
"$PROGRAMS/kubectl" -n kube-system create token policies --duration 24h >$account/token

# Its own rules are for the Pods of one node, and need what not every kernel has (nftables' queue); these are for all nodes, which share a
# network here. Nothing passes while it is not there.
chain() { iptables -w -t mangle "$@"; }
remove_rules() {
  while chain -D POSTROUTING -j POLICIES 2>/dev/null; do :; done
  chain -F POLICIES 2>/dev/null || true
  chain -X POLICIES 2>/dev/null || true
  nft delete table inet kube-network-policies 2>/dev/null || true
}
remove_rules
chain -N POLICIES
chain -A POLICIES -m conntrack --ctstate ESTABLISHED,RELATED -j RETURN
chain -A POLICIES -s $pods -j NFQUEUE --queue-num 100
chain -A POLICIES -d $pods -j NFQUEUE --queue-num 100

KUBERNETES_SERVICE_HOST=10.89.0.1 KUBERNETES_SERVICE_PORT=6443 "$NETWORK_PROGRAMS/kube-network-policies" \
  --hostname-override node1 --metrics-bind-address 127.0.0.1:9080 --netfilter-bug-1766-fix=false &
enforcer=$!
trap 'remove_rules; kill -KILL $enforcer 2>/dev/null || true' EXIT
trap 'exit 143' TERM INT HUP
# what came before would be dropped
until curl --silent --fail --output /dev/null http://127.0.0.1:9080/metrics; do
  kill -0 $enforcer || die 'kube-network-policies has ended'
  sleep 0.1
done
until grep -q '^ *100 ' /proc/net/netfilter/nfnetlink_queue; do
  kill -0 $enforcer || die 'kube-network-policies has ended'
  sleep 0.1
done
chain -A POSTROUTING -j POLICIES
say 'network policies are enforced'
wait $enforcer
