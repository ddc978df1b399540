#!/bin/bash
# Builds the programs of a Kubernetes node into DIRECTORY, from Debian 12: etcd, a registry and CNI
# plugins from its packages, Kubernetes 1.20 from its source package, because Debian ships only
# kubectl. Installs nothing. Takes 6 minutes of CPU time, 400 MB, and 4 GB while it builds.
# usage: build.sh DIRECTORY
set -euo pipefail

mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
keys=/usr/share/keyrings/debian-archive-keyring.gpg
version=1.20.2
programs=(kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy)
packages=(golang-1.19-go golang-1.19-src etcd-server docker-registry containernetworking-plugins containerd runc kubernetes-client)

here=$(cd "$(dirname "$0")" && pwd)
result=$1
work=$result.part
rm -rf "$work"
mkdir -p "$work"/{lists,cache/archives,root,go/src/k8s.io,bin,tmp} "$(dirname "$result")"
trap 'rm -rf "$work"' EXIT
cd "$work"

# apt with lists of its own: the system's may lack the sources, or be of another release.
apt() {
  command "$1" -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" -o APT::Sandbox::User="$(id -un)" "${@:2}"
}

printf '%s [signed-by=%s] %s bookworm main\n' deb "$keys" "$mirror" deb-src "$keys" "$mirror" >sources.list
apt apt-get update
apt apt-get download "${packages[@]}"
for package in *.deb; do dpkg-deb -x "$package" root; done
apt apt-get source --download-only kubernetes
dpkg-source --no-check -x kubernetes_*.dsc go/src/k8s.io/kubernetes >/dev/null

cd go/src/k8s.io/kubernetes
export GOROOT=$work/root/usr/lib/go-1.19 GOPATH=$work/go GOCACHE=$result.compiled GOTMPDIR=$work/tmp HOME=$work
export GO111MODULE=off CGO_ENABLED=0 PATH=$work/root/usr/lib/go-1.19/bin:$PATH

# The one generated file that the source package lacks.
go build -o "$work/openapi-gen" ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
inputs=$(grep -rlE --include='*.go' '^// \+k8s:openapi-gen=' pkg staging/src/k8s.io cmd plugin |
  grep -vE '/testdata/|_examples|/test/|sample-|_test.go|/code-generator/' | xargs -n1 dirname | sort -u |
  sed -E 's#^staging/src/#k8s.io/kubernetes/vendor/#; t; s#^#k8s.io/kubernetes/#' | paste -sd,)
"$work/openapi-gen" --go-header-file hack/boilerplate/boilerplate.generatego.txt --input-dirs "$inputs" \
  --output-base "$GOPATH/src" --output-package k8s.io/kubernetes/pkg/generated/openapi \
  -O zz_generated.openapi --report-filename "$work/openapi.report"

flags="-s -w"
for package in component-base/version client-go/pkg/version; do
  name=k8s.io/kubernetes/vendor/k8s.io/$package
  flags+=" -X $name.gitVersion=v$version -X $name.gitMajor=${version%%.*} -X $name.gitMinor=20 -X $name.gitTreeState=clean"
done
for program in "${programs[@]}"; do
  echo "building $program"
  go build -trimpath -ldflags "$flags" -o "$work/bin/$program" "./cmd/$program"
done

# The image of each Pod's first process.
GOOS=linux go build -trimpath -ldflags "-s -w" -o "$work/pause" "$here/pause.go"
python3 "$here/archive.py" "$work/pause" localhost/pause:1 "$work/bin/pause.tar"

cd "$work"
for path in usr/bin/{etcd,docker-registry,containerd,containerd-shim-runc-v2,ctr,kubectl} usr/sbin/runc; do mv "root/$path" bin/; done
mkdir "$result.new"
mv bin "$result.new/bin"
mv root/usr/lib/cni "$result.new/cni"
mv "$result.new" "$result"
rm -rf "$result.compiled" # kept by a build that was interrupted
