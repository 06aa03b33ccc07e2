#!/usr/bin/env bash
# Herald on kind: builds the image, installs it as shipped, and fetches a page through a service address
# from a container that is on the nodes' network and not in the cluster.
#
#   tests/kind/run.sh          cleans up after itself
#   KEEP=1 tests/kind/run.sh   leaves the cluster up and says how to reach it
#
# Needs docker, kind and kubectl, and network access for the images.
set -euo pipefail
cd "$(dirname "$0")/../.."

readonly name=${KIND_CLUSTER:-herald}
readonly network=${KIND_EXPERIMENTAL_DOCKER_NETWORK:-kind}

say() { printf '== %s\n' "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }
need() { command -v "$1" >/dev/null || fail "$1 is missing: see $2"; }

need docker https://docs.docker.com/engine/install/
need kind https://kind.sigs.k8s.io/docs/user/quick-start/
need kubectl https://kubernetes.io/docs/tasks/tools/
docker info >/dev/null 2>&1 || fail "docker does not answer: start its daemon, or join its group"
if kind get clusters 2>/dev/null | grep -qx "$name"; then
  fail "there is a kind cluster $name already: kind delete cluster --name $name, or set KIND_CLUSTER"
fi

files=$(mktemp -d)
readonly files
# The user's own kubeconfig is left alone.
export KUBECONFIG="$files/kubeconfig"

finish() {
  local status=$?
  trap - EXIT
  if [ "$status" -ne 0 ] && [ -s "$KUBECONFIG" ]; then
    say "what the cluster says"
    kubectl get pods,services,serviceannouncements,speakers,ipaddresspools -A -o wide || true
    kubectl logs -n herald-system -l 'app.kubernetes.io/component in (controller, speaker)' --prefix --tail=20 || true
    kubectl describe service hello || true
  fi
  if [ "${KEEP:-}" = 1 ] && [ -s "$KUBECONFIG" ]; then
    say "kept: export KUBECONFIG=$KUBECONFIG"
    say "end it: kind delete cluster --name $name; rm -r $files"
  else
    kind delete cluster --name "$name" || true
    rm -rf "$files"
  fi
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# within SECONDS WHAT COMMAND...: until the command succeeds.
within() {
  local left=$1 what=$2
  shift 2
  until "$@"; do
    left=$((left - 1))
    [ "$left" -gt 0 ] || fail "$what"
    sleep 1
  done
}

say "building the image"
image=$(kubectl kustomize deploy | sed -n 's/^ *image: *//p' | sort -u)
[ "$(wc -l <<<"$image")" -eq 1 ] || fail "deploy/ names more than one image: $image"
docker build -f deploy/Dockerfile -t "$image" .

say "creating the cluster"
kind create cluster --name "$name" --config tests/kind/cluster.yaml --kubeconfig "$KUBECONFIG" --wait 180s
minor=$(kubectl get --raw /version | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p')
[ "${minor:-0}" -ge 33 ] || fail "this kind makes Kubernetes 1.${minor:-?}, Herald needs 1.33: install a newer kind"
kind load docker-image --name "$name" "$image"

# The end of the nodes' own networks: docker gives addresses away from the start.
subnets=$(docker network inspect -f '{{range .IPAM.Config}}{{println .Subnet}}{{end}}' "$network")
four=$(grep -m1 -v : <<<"$subnets") || fail "docker's network $network has no IPv4 range"
six=$(grep -m1 '::/' <<<"$subnets") || fail "docker's network $network has no IPv6 range of the form PREFIX::/64"
[ "${four#*/}" -le 25 ] || fail "docker's network $network is too small: $four"
IFS=. read -r a b c d <<<"${four%/*}"
end=$(((a << 24 | b << 16 | c << 8 | d) + (1 << (32 - ${four#*/}))))
dotted() { printf '%d.%d.%d.%d' $(($1 >> 24 & 255)) $(($1 >> 16 & 255)) $(($1 >> 8 & 255)) $(($1 & 255)); }
range4="$(dotted $((end - 50)))-$(dotted $((end - 10)))"
range6="${six%%::/*}::f000/120"

say "installing Herald with pool $range4 and $range6"
kubectl apply --server-side -k deploy/
kubectl wait --for=condition=Established --timeout=60s crd -l app.kubernetes.io/part-of=herald
kubectl rollout status -n herald-system deployment/herald-controller --timeout=120s
kubectl rollout status -n herald-system daemonset/herald-speaker --timeout=120s
kubectl apply -f - <<YAML
apiVersion: heraldlb.io/v1beta1
kind: IPAddressPool
metadata:
  name: kind
spec:
  addresses: ["$range4", "$range6"]
YAML
kubectl apply -f deploy/samples/advertisement.yaml -f deploy/samples/service.yaml
kubectl rollout status deployment/hello --timeout=180s

addresses() { kubectl get service hello -o 'jsonpath={.status.loadBalancer.ingress[*].ip}'; }
has_both() { [ "$(addresses | wc -w)" -eq 2 ]; }
within 60 "Service hello gets no address of each family" has_both
say "Service hello has $(addresses)"
within 60 "there is no ServiceAnnouncement hello" kubectl get serviceannouncement hello -o name
kubectl wait --for=condition=Announced --timeout=60s serviceannouncement/hello

# kind's node image has curl, and is here already.
client=$(docker inspect -f '{{.Image}}' "$name-control-plane")
page() { docker run --rm --network "$network" --entrypoint curl "$client" -gsS --max-time 3 "http://$1/hostname"; }
for address in $(addresses); do
  host=$address
  [[ $address == *:* ]] && host="[$address]"
  within 20 "no page from http://$host/ on docker's network $network" page "$host"
  echo
done
say "pages arrive over IPv4 and IPv6"
