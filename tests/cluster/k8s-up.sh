#!/usr/bin/env bash
# Starts Kubernetes on virtual hosts: etcd, API server, scheduler and controllers on `ctl`; containerd
# and a kubelet on each of n1 … nN (default 3).
#
#   k8s-up.sh DIR BIN [N]        as root, in 15 to 18 seconds; undone by hosts-down.sh DIR
#
# BIN holds kube-apiserver, kube-scheduler, kube-controller-manager and kubelet 1.20: k8s-build.sh.
# Then: DIR/on ctl kubectl get nodes
#
# Pods run on the network of their node. The only image is `ansar.local/base:1`: some commands of
# busybox, and this machine's C library, so that executables built here run. Nothing is ever pulled.
#
# ANSAR_NET          first three numbers of the addresses, default 10.78.0
# ANSAR_UP_LIMIT     seconds until it gives up, default 55
# ANSAR_SNAPSHOTTER  containerd's snapshotter, default overlayfs
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
here=$(dirname "$(readlink -f "$0")")
[ $# -ge 2 ] || { echo "usage: k8s-up.sh DIR BIN [N]" >&2; exit 2; }
packages="etcd-server containerd runc containernetworking-plugins busybox-static kubernetes-client openssl iproute2"
for tool in etcd containerd ctr runc kubectl openssl ip /bin/busybox /usr/lib/cni/loopback; do
  command -v "$tool" >/dev/null || {
    echo "k8s-up: skipped, no $tool (apt-get install -y --no-install-recommends $packages)" >&2
    exit 77
  }
done
parts="kube-apiserver kube-scheduler kube-controller-manager kubelet"
for part in $parts; do
  [ -x "$2/$part" ] || { echo "k8s-up: skipped, no $2/$part (k8s-build.sh)" >&2; exit 77; }
done
given=$(cd "$2" && pwd -P)
nodes=${3:-3}
export ANSAR_NET=${ANSAR_NET:-10.78.0}
"$here/hosts-up.sh" "$1" "$nodes"
dir=$(cd "$1" && pwd -P)
trap 'code=$?; [ $code = 0 ] || "$here/hosts-down.sh" "$dir" --keep-logs; exit $code' EXIT
SECONDS=0

fail() {
  echo "k8s-up: $1" >&2
  tail -n 5 "$dir"/log/* >&2 || true
  exit 1
}
await() { # COMMAND…: waits until it succeeds
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt "${ANSAR_UP_LIMIT:-55}" ] || fail "gave up waiting for: $*"
    sleep 0.05
  done
}
background() { # HOST NAME COMMAND…: starts a daemon; its output is in DIR/log/NAME.HOST
  local host=$1 name=$2
  shift 2
  "$dir/on" "$host" setsid "$@" >"$dir/log/$name.$host" 2>&1 </dev/null &
}
kubectl() {
  "$dir/on" ctl kubectl "$@"
}
echo "export KUBECONFIG='$dir/kubeconfig' KUBECACHEDIR=/run/kubectl" >"$dir/env"

# BIN may lie in a folder that hosts do not see, such as /tmp.
bin=$dir/bin
mkdir "$bin"
for part in $parts; do
  ln "$given/$part" "$bin/" 2>/dev/null || cp "$given/$part" "$bin/"
done

# --- The image, as an archive that `docker load` would take.
image=$dir/image/root
mkdir -p "$image/bin" "$image/tmp"
chmod 1777 "$image/tmp"
cp /bin/busybox "$image/bin/"
for applet in sh sleep cat head wc id nc kill mkdir chmod mv rm ls ps hostname uname; do
  ln -s busybox "$image/bin/$applet"
done
loaded=$(ldd /bin/bash)
loader=$(grep -o '/[^ ]*/ld-[^ ]*' <<<"$loaded")
library=$(dirname "$(grep -o '/[^ ]*/libc\.so\.6' <<<"$loaded")")
mkdir -p "$image$library" "$image$(dirname "$loader")"
cp -L "$loader" "$image$loader"
cp -L "$library"/lib{c,m,dl,pthread,rt}.so.? "$library/libgcc_s.so.1" "$image$library/"
(
  cd "$dir/image"
  tar -C root -cf layer.tar .
  layer=$(sha256sum layer.tar | cut -d' ' -f1)
  cat >config.json <<JSON
{"architecture": "$(dpkg --print-architecture)", "os": "linux",
 "config": {"Cmd": ["/bin/sleep", "1000000"], "Env": ["PATH=/bin"]},
 "rootfs": {"type": "layers", "diff_ids": ["sha256:$layer"]}}
JSON
  cat >manifest.json <<JSON
[{"Config": "config.json", "RepoTags": ["ansar.local/base:1"], "Layers": ["layer.tar"]}]
JSON
  tar -cf "$dir/image.tar" config.json manifest.json layer.tar
)

# --- The control plane. One user, with a token made here.
token=$(head -c 16 /dev/urandom | od -An -tx1 | tr -d ' \n')
(umask 077; echo "$token,admin,admin,system:masters" >"$dir/tokens")
openssl genrsa -out "$dir/service.key" 2048 2>/dev/null
openssl rsa -in "$dir/service.key" -pubout -out "$dir/service.pub" 2>/dev/null
(umask 077; cat >"$dir/kubeconfig") <<CONF
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://$ANSAR_NET.1:6443", insecure-skip-tls-verify: true}}]
users: [{name: u, user: {token: "$token"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
current-context: x
CONF
etcd=http://127.0.0.1:2379
background ctl etcd etcd --data-dir /run/etcd --unsafe-no-fsync \
  --listen-client-urls $etcd --advertise-client-urls $etcd --listen-peer-urls http://127.0.0.1:2380
background ctl apiserver "$bin/kube-apiserver" --etcd-servers=$etcd \
  --bind-address="$ANSAR_NET.1" --advertise-address="$ANSAR_NET.1" --secure-port=6443 \
  --cert-dir=/run/apiserver --token-auth-file="$dir/tokens" --authorization-mode=RBAC \
  --service-account-issuer=ansar --service-account-signing-key-file="$dir/service.key" \
  --service-account-key-file="$dir/service.pub" --disable-admission-plugins=ServiceAccount \
  --service-cluster-ip-range=10.79.0.0/24 --kubelet-preferred-address-types=InternalIP

# --- Meanwhile, containerd on the nodes.
mkdir "$dir/cni"
echo '{"cniVersion": "0.4.0", "name": "lo", "plugins": [{"type": "loopback"}]}' >"$dir/cni/10-lo.conflist"
snapshotter=${ANSAR_SNAPSHOTTER:-overlayfs}
for i in $(seq "$nodes"); do
  # `restrict_oom_score_adj`: for machines without CAP_SYS_RESOURCE.
  cat >"$dir/containerd.n$i.toml" <<CONF
version = 2
root = "/run/containerd-root"
state = "/run/containerd"
[grpc]
address = "/run/containerd/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
restrict_oom_score_adj = true
sandbox_image = "ansar.local/base:1"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "$snapshotter"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "$dir/cni"
CONF
  background "n$i" containerd containerd -c "$dir/containerd.n$i.toml"
done
for i in $(seq "$nodes"); do
  ctr=("$dir/on" "n$i" ctr -a /run/containerd/containerd.sock)
  await "${ctr[@]}" version
  "${ctr[@]}" -n k8s.io images import --snapshotter "$snapshotter" "$dir/image.tar" >/dev/null
done
await kubectl get --raw /readyz

# --- The rest. `nodelifecycle` takes the taint `not-ready` off new nodes, and marks nodes that are cut.
background ctl scheduler "$bin/kube-scheduler" --kubeconfig="$dir/kubeconfig" --leader-elect=false \
  --port=0 --cert-dir=/run/scheduler
background ctl controllers "$bin/kube-controller-manager" --kubeconfig="$dir/kubeconfig" \
  --leader-elect=false --port=0 --cert-dir=/run/controllers --use-service-account-credentials=false \
  --controllers=nodelifecycle,podgc,job,ttl-after-finished \
  --node-monitor-period=1s --node-monitor-grace-period=8s
cat >"$dir/kubelet.yaml" <<CONF
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupsPerQOS: false
enforceNodeAllocatable: []
failSwapOn: false
evictionHard: {memory.available: "1Mi"}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 2s
CONF
for i in $(seq "$nodes"); do
  background "n$i" kubelet "$bin/kubelet" --config="$dir/kubelet.yaml" --kubeconfig="$dir/kubeconfig" \
    --hostname-override="n$i" --node-ip="$ANSAR_NET.$((10 + i))" \
    --root-dir=/run/kubelet --cert-dir=/run/kubelet-pki \
    --container-runtime=remote --container-runtime-endpoint=unix:///run/containerd/containerd.sock
done
all_ready() {
  [ "$(kubectl get nodes --no-headers | grep -cw Ready)" = "$nodes" ] &&
    ! kubectl get nodes -o jsonpath='{.items[*].spec.taints}' | grep -q key
}
await all_ready
echo "k8s-up: Kubernetes on $nodes nodes: $dir/on ctl kubectl get nodes" >&2
