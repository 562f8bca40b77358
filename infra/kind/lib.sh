# Shared by up, down and status. kind's own labels on the containers are the only record of what exists.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# check_name NAME: names become container and host names, and go into JSON unquoted by any library.
check_name() {
  [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$ ]] ||
    die "a sandbox's name has lower-case letters, digits and dashes only (at most 32), not '$1'"
}

# check_engine: docker's own words when it does not answer, and what to do about it.
check_engine() {
  command -v docker >/dev/null || die "the docker CLI is not installed: see https://docs.docker.com/get-docker/"
  command -v kind >/dev/null ||
    die "kind is not installed: see https://kind.sigs.k8s.io/docs/user/quick-start/#installation (or use the embedded engine)"
  local why
  why=$(docker version --format '{{.Server.Version}}' 2>&1 >/dev/null) ||
    die "the Docker engine does not answer (start Docker, or use the embedded engine): ${why##*$'\n'}"
}

# The cluster's name is not the sandbox's, so that no cluster of somebody's own is ever taken for ours.
cluster() { printf 'labkit-%s' "$1"; }
state_dir() { printf '%s/labkit/kind/%s' "${XDG_STATE_HOME:-$HOME/.local/state}" "$1"; }

# nodes CLUSTER: its node containers, the control plane first, then the workers as they are numbered.
nodes() {
  docker ps -a --filter "label=io.x-k8s.kind.cluster=$1" --filter label=io.x-k8s.kind.role --format '{{.Names}}' | sort -V
}

json_string() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# report NAME STATE [NOTE…]: the one line of JSON that labkit reads.
report() {
  local name=$1 state=$2 c sep='' note server
  shift 2
  server=$(sed -n 's/^ *server: //p' "$state/kubeconfig" 2>/dev/null | head -1)
  printf '{"name":"%s","orchestrator":"kubernetes","engine":"docker","kubeconfig":%s,"server":"%s","machines":[' \
    "$name" "$(json_string "$state/kubeconfig")" "$server"
  for c in $(nodes "$(cluster "$name")"); do
    printf '%s' "$sep"
    docker inspect -f '{"name":"{{slice .Name 1}}","role":"{{index .Config.Labels "io.x-k8s.kind.role"}}","state":"{{if .State.Paused}}paused{{else if .State.Running}}up{{else}}down{{end}}","address":"{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"}' "$c" | tr -d '\n'
    sep=,
  done
  printf '],"notes":['
  sep=''
  for note in "$@"; do printf '%s%s' "$sep" "$(json_string "$note")"; sep=,; done
  printf ']}\n'
}
