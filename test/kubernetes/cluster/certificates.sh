#!/usr/bin/env bash
# certificates.sh DIR NODE…: the cluster's authority, its certificates, and a kubeconfig for each who needs one. Good for a month.
set -euo pipefail
dir=$1
shift
cd "$dir"

openssl ecparam -name prime256v1 -genkey -noout -out ca.key
openssl req -x509 -new -key ca.key -subj /CN=caisson-test-cluster -days 30 -out ca.crt
openssl genrsa -out service-accounts.key 2048 2>/dev/null
openssl rsa -in service-accounts.key -pubout -out service-accounts.pub 2>/dev/null

# certificate NAME SUBJECT [ALTERNATIVE-NAMES]
certificate() {
  openssl ecparam -name prime256v1 -genkey -noout -out "$1.key"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" \
    -extfile <(printf 'extendedKeyUsage=clientAuth,serverAuth\nkeyUsage=digitalSignature\n%s\n' "${3:+subjectAltName=$3}") 2>/dev/null
  rm "$1.csr"
}

# kubeconfig NAME: for the certificate of that name
kubeconfig() {
  cat >"$1.conf" <<YAML
apiVersion: v1
kind: Config
clusters: [{ name: test, cluster: { server: 'https://127.0.0.1:6443', certificate-authority-data: $(base64 -w0 ca.crt) } }]
users: [{ name: $1, user: { client-certificate-data: $(base64 -w0 "$1.crt"), client-key-data: $(base64 -w0 "$1.key") } }]
contexts: [{ name: test, context: { cluster: test, user: $1 } }]
current-context: test
YAML
  chmod 600 "$1.conf"
}

certificate apiserver /CN=kube-apiserver \
  DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1,IP:10.89.0.1
certificate kubelet-client /O=system:masters/CN=kube-apiserver-kubelet-client
certificate admin /O=system:masters/CN=admin
certificate controller-manager /CN=system:kube-controller-manager
certificate scheduler /CN=system:kube-scheduler
kubeconfig admin
kubeconfig controller-manager
kubeconfig scheduler
for node in "$@"; do
  certificate "$node" "/O=system:nodes/CN=system:node:$node"
  kubeconfig "$node"
done
