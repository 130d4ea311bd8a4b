#!/usr/bin/env bash
# A TAP server on this machine for the tests that are marked `tap`: GAVO DaCHS on PostgreSQL with
# pgsphere and q3c (Debian 12 packages, as root), serving gaiadr3.gaia_source at TAP_PORT.
#
#   server.sh install        install what is missing
#   server.sh up ROWS.csv    the same, start, replace the rows; ends when it answers
#   server.sh down           stop what `up` started
#
# ROWS.csv is what rows.py writes: a header line and the columns of gaia.rd in their order.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
port=${TAP_PORT:-8642}
state=${TAP_STATE:-/tmp/viamachinae-tap}
inputs=/var/gavo/inputs/gaiadr3

installed() { dpkg-query -W -f '${Status}' gavodachs2-server 2>/dev/null | grep -q '^install ok installed'; }
answers() { curl -sf "http://127.0.0.1:$port/tap/availability" | grep -q 'available>true'; }
database_answers() { su postgres -c "psql -qAtc 'select 1'" >/dev/null 2>&1; }

# Tries a check four times a second, for at most so many seconds.
wait_for() {
  local check=$1 seconds=$2
  for _ in $(seq $((4 * seconds))); do "$check" && return; sleep 0.25; done
  echo "server.sh: $check: no, after $seconds s; see $state" >&2
  return 1
}

fetch_packages() {
  installed && return
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq >"$state/apt.log" 2>&1
  # Where services may not start by themselves the last step fails for want of the database,
  # which is started below; dpkg then ends the work.
  apt-get install -y --no-install-recommends gavodachs2-server </dev/null >>"$state/apt.log" 2>&1 || true
}

start_database() {
  pg_lsclusters -h | grep -q online || pg_ctlcluster 15 main start
  wait_for database_answers 20
  installed || dpkg --configure -a >"$state/dpkg.log" 2>&1
}

configure() {
  cat >/etc/gavo.rc <<CONF
[general]
maintainerAddress: nobody@localhost
[web]
bindAddress: 127.0.0.1
serverPort: $port
serverURL: http://127.0.0.1:$port
[async]
defaultMAXREC: 20000
hardMAXREC: 2000000
maxTAPRunning: 4
CONF
}

load_rows() {
  local rows=$1
  mkdir -p "$inputs/data"
  cp "$here/gaia.rd" "$inputs/q.rd"
  head -n 2 "$rows" >"$inputs/data/first.csv" # the table is made from one row, and filled below
  chown -R dachsroot:gavo "$inputs"
  chmod -R a+rX "$inputs"
  su dachsroot -c "cd $inputs && dachs imp q" >"$state/import.log" 2>&1
  su postgres -c "psql -q gavo -c 'truncate gaiadr3.gaia_source' \
    -c '\\copy gaiadr3.gaia_source from stdin csv header' -c 'analyze gaiadr3.gaia_source'" <"$rows"
}

serve() {
  answers && return
  # `exec` makes the recorded process the server itself.
  su dachsroot -c "cd / && echo \$\$ && exec dachs serve debug 2>&1" >"$state/serve.log" &
  wait_for answers 60
  head -n 1 "$state/serve.log" >"$state/pid"
}

mkdir -p "$state"
case ${1:-} in
  install)
    fetch_packages
    start_database
    ;;
  up)
    rows=${2:?server.sh up ROWS.csv}
    fetch_packages
    start_database
    configure
    load_rows "$rows"
    serve
    echo "http://127.0.0.1:$port/tap"
    ;;
  down)
    [ ! -f "$state/pid" ] || kill "$(cat "$state/pid")" 2>/dev/null || true
    rm -f "$state/pid"
    pg_ctlcluster 15 main stop || true
    ;;
  *)
    sed -n '2,9s/^# \?//p' "$0"
    exit 2
    ;;
esac
