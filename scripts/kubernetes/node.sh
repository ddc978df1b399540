#!/bin/bash
# The first process of the node: starts the control plane, the kubelet and what they need.
# usage: node.sh ADDRESS PKI LOGS
set -euo pipefail

address=$1 pki=$2 logs=$3
services=10.96.0.0/16 pods=10.244.0.0/24

run() { "${@:2}" >"$logs/$1.log" 2>&1 </dev/null & }

sysctl() { echo "$2" >"/proc/sys/$1"; }
sysctl net/ipv4/ip_forward 1
[ ! -e /proc/sys/net/bridge ] || sysctl net/bridge/bridge-nf-call-iptables 1

# The kubelet sets these for the whole kernel: here it writes to files of its own.
for name in vm/overcommit_memory vm/panic_on_oom kernel/panic kernel/panic_on_oops kernel/keys/root_maxkeys \
  kernel/keys/root_maxbytes; do
  mkdir -p "/run/kernel/${name%/*}"
  cat "/proc/sys/$name" >"/run/kernel/$name"
  mount --bind "/run/kernel/$name" "/proc/sys/$name"
done

mknod -m 600 /dev/kmsg c 1 3 # the kubelet reads it; nothing is there to be read

run etcd etcd --data-dir /run/etcd --unsafe-no-fsync --listen-client-urls http://127.0.0.1:2379 \
  --advertise-client-urls http://127.0.0.1:2379 --listen-peer-urls http://127.0.0.1:2380
run apiserver kube-apiserver --etcd-servers=http://127.0.0.1:2379 --advertise-address="$address" \
  --bind-address=0.0.0.0 --secure-port=6443 --tls-cert-file="$pki/apiserver.crt" \
  --tls-private-key-file="$pki/apiserver.key" --client-ca-file="$pki/ca.crt" \
  --kubelet-client-certificate="$pki/admin.crt" --kubelet-client-key="$pki/admin.key" \
  --kubelet-preferred-address-types=InternalIP --service-account-key-file="$pki/accounts.pub" \
  --service-account-signing-key-file="$pki/accounts.key" \
  --service-account-issuer=https://kubernetes.default.svc --authorization-mode=Node,RBAC \
  --service-cluster-ip-range=$services --allow-privileged=true --enable-admission-plugins=NodeRestriction

mkdir -p /etc/cni/net.d /etc/containerd /var/registry
cat >/etc/registry.yml <<CONF
version: 0.1
storage: {filesystem: {rootdirectory: /var/registry}, delete: {enabled: true}}
http: {addr: "$address:5000"}
CONF
run registry docker-registry serve /etc/registry.yml
cat >/etc/cni/net.d/10-bridge.conflist <<CONF
{"cniVersion": "0.4.0", "name": "pods", "plugins": [
 {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
  "ipam": {"type": "host-local", "dataDir": "/run/cni", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
 {"type": "portmap", "capabilities": {"portMappings": true}}]}
CONF
cat >/etc/containerd/config.toml <<CONF
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/kubernetes/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
  [plugins."io.containerd.grpc.v1.cri".registry.mirrors."$address:5000"]
    endpoint = ["http://$address:5000"]
CONF
run containerd containerd --config /etc/containerd/config.toml
until ctr version >/dev/null 2>&1; do sleep 0.1; done
ctr --namespace k8s.io images import /opt/kubernetes/bin/pause.tar >/dev/null

until curl --silent --fail --cacert "$pki/ca.crt" --cert "$pki/admin.crt" --key "$pki/admin.key" \
  "https://$address:6443/readyz" >/dev/null; do sleep 0.2; done
run controllers kube-controller-manager --kubeconfig="$pki/controllers.conf" --root-ca-file="$pki/ca.crt" \
  --service-account-private-key-file="$pki/accounts.key" --use-service-account-credentials=true \
  --leader-elect=false
run scheduler kube-scheduler --kubeconfig="$pki/scheduler.conf" --leader-elect=false
{ # Volumes that a storage class would make: unlike host paths, they are given to a Pod's fsGroup.
  cat <<'CONF'
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: local, annotations: {storageclass.kubernetes.io/is-default-class: "true"}}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
CONF
  for number in {1..80}; do
    mkdir -p "/var/lib/volumes/$number"
    cat <<CONF
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: local-$number}
spec:
  storageClassName: local
  capacity: {storage: 10Gi}
  accessModes: [ReadWriteOnce]
  local: {path: /var/lib/volumes/$number}
  nodeAffinity: {required: {nodeSelectorTerms: [{matchExpressions: [{key: kubernetes.io/hostname, operator: In, values: [node]}]}]}}
CONF
  done
} | kubectl --kubeconfig "$pki/admin.conf" apply -f -
cat >/etc/kubelet.yaml <<CONF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: $pki/ca.crt}}
authorization: {mode: Webhook}
tlsCertFile: $pki/kubelet.crt
tlsPrivateKeyFile: $pki/kubelet.key
cgroupDriver: cgroupfs
clusterDNS: [$address]
clusterDomain: cluster.local
failSwapOn: false
evictionHard: {memory.available: "0%", nodefs.available: "0%", imagefs.available: "0%", nodefs.inodesFree: "0%"}
imageGCHighThresholdPercent: 100
kubeAPIQPS: 50 # since 1.27 the default; in 1.20, 5 requests a second hold up a fleet
kubeAPIBurst: 100
eventRecordQPS: 50
eventBurst: 100
allowedUnsafeSysctls: [net.ipv4.ip_unprivileged_port_start]
CONF
run kubelet kubelet --config=/etc/kubelet.yaml --kubeconfig="$pki/node.conf" --hostname-override=node \
  --node-ip="$address" --container-runtime=remote \
  --container-runtime-endpoint=unix:///run/containerd/containerd.sock
run proxy kube-proxy --kubeconfig="$pki/proxy.conf" --hostname-override=node --proxy-mode=iptables \
  --conntrack-max-per-core=0 --conntrack-tcp-timeout-established=0s --conntrack-tcp-timeout-close-wait=0s
run stand-ins python3 /opt/scripts/stand_ins.py "$address" "$pki"
while :; do wait || true; sleep 1; done # the first process reaps what others leave
