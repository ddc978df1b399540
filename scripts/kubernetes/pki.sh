#!/bin/bash
# Certificates and kubeconfigs of a cluster of one node, valid for a month. Only for tests.
# usage: pki.sh DIRECTORY ADDRESS
set -euo pipefail

mkdir -p "$1"
cd "$1"
address=$2

key() { openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:prime256v1 -out "$1"; }
certificate() { # NAME SUBJECT EXTENSION
  key "$1.key"
  openssl req -new -key "$1.key" -subj "$2" -out "$1.csr"
  openssl x509 -req -in "$1.csr" -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -out "$1.crt" \
    -extfile <(echo "$3") 2>/dev/null
}

key ca.key
openssl req -x509 -key ca.key -out ca.crt -days 30 -subj /CN=companion-test
certificate apiserver /CN=kube-apiserver "subjectAltName=DNS:kubernetes.default.svc,IP:$address,IP:127.0.0.1,IP:10.96.0.1"
certificate kubelet /CN=node "subjectAltName=DNS:node,IP:$address"
key accounts.key
openssl pkey -in accounts.key -pubout -out accounts.pub
while read -r name subject; do
  certificate "$name" "$subject" extendedKeyUsage=clientAuth
  cat >"$name.conf" <<CONF
apiVersion: v1
kind: Config
current-context: test
clusters: [{name: test, cluster: {server: "https://$address:6443", certificate-authority: $PWD/ca.crt}}]
users: [{name: $name, user: {client-certificate: $PWD/$name.crt, client-key: $PWD/$name.key}}]
contexts: [{name: test, context: {cluster: test, user: $name}}]
CONF
done <<'USERS'
admin /O=system:masters/CN=admin
node /O=system:nodes/CN=system:node:node
controllers /CN=system:kube-controller-manager
scheduler /CN=system:kube-scheduler
proxy /CN=system:kube-proxy
user /CN=user
USERS
