# Shared by up, down and status: reading what exists. Everything a sandbox owns carries the label labkit.sandbox=NAME,
# so the Docker engine itself is the only record; there is no state file to go stale.
# shellcheck shell=bash

say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

# check_name NAME: names become container, volume and host names, and go into JSON unquoted by any library.
check_name() {
  [[ $1 =~ ^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$ ]] ||
    die "a sandbox's name has lower-case letters, digits and dashes only (at most 32), not '$1'"
}

# check_engine: docker's own words when it does not answer, and what to do about it.
check_engine() {
  command -v docker >/dev/null || die "the docker CLI is not installed: see https://docs.docker.com/get-docker/"
  local why
  why=$(docker version --format '{{.Server.Version}}' 2>&1 >/dev/null) ||
    die "the Docker engine does not answer (start Docker, or use the embedded engine): ${why##*$'\n'}"
}

prefix() { printf 'labkit-%s' "$1"; }
state_dir() { printf '%s/labkit/docker/%s' "${XDG_STATE_HOME:-$HOME/.local/state}" "$1"; }

# machines NAME: the sandbox's machines, managers first, in their own order.
machines() {
  docker ps -a --filter "label=labkit.sandbox=$1" --filter label=labkit.machine \
    --format '{{.Label "labkit.order"}} {{.Label "labkit.machine"}}' | sort -n | cut -d' ' -f2
}

# machine_state CONTAINER NETWORK: up, down, paused or partitioned (running, but off the nodes' network).
machine_state() {
  docker inspect -f '{{if .State.Paused}}paused{{else if not .State.Running}}down{{else if index .NetworkSettings.Networks "'"$2"'"}}up{{else}}partitioned{{end}}' "$1"
}

json_string() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# report NAME STATE [NOTE…]: the one line of JSON that labkit reads.
report() {
  local name=$1 state=$2 p net m c sep=''
  shift 2
  p=$(prefix "$name") net=$(prefix "$name")-nodes
  printf '{"name":"%s","orchestrator":"swarm","engine":"docker","network":"%s","machines":[' "$name" "$net"
  for m in $(machines "$name"); do
    c=$p-$m
    printf '%s{"name":"%s","container":"%s","state":"%s",' "$sep" "$m" "$c" "$(machine_state "$c" "$net")"
    docker inspect -f '"role":"{{index .Config.Labels "labkit.role"}}","address":"{{index .Config.Labels "labkit.address"}}",{{with index .HostConfig.PortBindings "2376/tcp"}}"docker_host":"tcp://127.0.0.1:{{(index . 0).HostPort}}",{{end}}"ports":{ {{- $s := ""}}{{range $p, $b := .HostConfig.PortBindings}}{{if ne $p "2376/tcp"}}{{$s}}"{{$p}}":"{{(index $b 0).HostIp}}:{{(index $b 0).HostPort}}"{{$s = ","}}{{end}}{{end -}} },' "$c" | tr -d '\n'
    printf '"cert_path":%s}' "$(json_string "$state/certs/$m")"
    sep=,
  done
  printf '],"notes":['
  sep=''
  for m in "$@"; do printf '%s%s' "$sep" "$(json_string "$m")"; sep=,; done
  printf ']}\n'
}
