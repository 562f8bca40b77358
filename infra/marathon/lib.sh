# Shared by up, down and status. Everything a sandbox owns carries the label labkit.sandbox=NAME, so the Docker engine
# itself is the only record of what exists; the state folder holds the project, the password and the ports.
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

check_compose() {
  docker compose version >/dev/null 2>&1 ||
    die "Docker Compose is not installed: see https://docs.docker.com/compose/install/ (or use the embedded engine)"
}

prefix() { printf 'labkit-%s' "$1"; }
state_dir() { printf '%s/labkit/marathon/%s' "${XDG_STATE_HOME:-$HOME/.local/state}" "$1"; }

# containers NAME [FILTER…]: machine by machine; of each the one that is the machine first.
containers() { listed "$@" | awk '{print $NF}'; }
machines() { listed "$1" | awk '$2 == "0-machine" {print $NF}'; }
components() { listed "$1" | awk '$2 != "0-machine" {print $NF}'; }
listed() {
  local name=$1
  shift
  docker ps -a --filter "label=labkit.sandbox=$name" --filter label=labkit.machine "$@" \
    --format '{{.Label "labkit.order"}} {{.Label "labkit.component"}} {{.Names}}' | sort -k1,1n -k2,2
}

json_string() { printf '"%s"' "$(printf '%s' "$1" | sed 's/[\\"]/\\&/g')"; }

# One container as JSON: a machine with its ports, or a component.
machine_form='{"name":"{{index .Config.Labels "labkit.machine"}}","container":"{{slice .Name 1}}","role":"{{index .Config.Labels "labkit.role"}}","address":"{{index .Config.Labels "labkit.address"}}","state":"{{if .State.Paused}}paused{{else if not .State.Running}}down{{else if index .NetworkSettings.Networks "NETWORK"}}up{{else}}partitioned{{end}}","ports":{ {{- $s := ""}}{{range $p, $b := .HostConfig.PortBindings}}{{$s}}"{{$p}}":"{{(index $b 0).HostIp}}:{{(index $b 0).HostPort}}"{{$s = ","}}{{end}} }}'
component_form='{"name":"{{index .Config.Labels "labkit.component"}}","machine":"{{index .Config.Labels "labkit.machine"}}","container":"{{slice .Name 1}}","state":"{{if and .State.Running (not .State.Paused)}}running{{else}}stopped{{end}}"}'

# rows FORM CONTAINER…: of each, with commas between them. Asked for all together: each call of docker takes its time.
rows() {
  local form=$1
  shift
  [ $# -eq 0 ] || docker inspect -f "$form" "$@" | paste -sd, - | tr -d '\n'
}

# report NAME STATE [NOTE…]: the one line of JSON that labkit reads.
report() {
  local name=$1 state=$2 network sep='' note
  shift 2
  network=$(prefix "$name")-nodes
  printf '{"name":"%s","orchestrator":"marathon","engine":"docker","network":"%s","credentials":%s,"machines":[' \
    "$name" "$network" "$(json_string "$state/credentials.json")"
  # shellcheck disable=SC2046
  rows "${machine_form/NETWORK/$network}" $(machines "$name")
  printf '],"components":['
  # shellcheck disable=SC2046
  rows "$component_form" $(components "$name")
  printf '],"notes":['
  sep=''
  for note in "$@"; do printf '%s%s' "$sep" "$(json_string "$note")"; sep=,; done
  printf ']}\n'
}
