#!/usr/bin/env bash
# What runs beside mysqld in a member's Pod, in a stock MySQL image: no agent, it decides nothing and asks nobody.
#   prepare        init container: keeps this script and my.cnf for the Pod's life; makes the first data directory
#   run            process 1: keeps mysqld running, obeys orders that name what they are about, and stops mysqld so that
#                  no commit that waits for an acknowledgement is ever answered OK
#   drain SECONDS  preStop: while this is the primary, gives a switchover its time
#   alive          liveness: whether `run` goes round; of mysqld it says nothing
# Needs bash 4.4, coreutils, mysqld and mysql; mysqlbinlog where there is one. Read by bash as a whole before it starts.
set -euo pipefail
umask 077

volume=${BATON_VOLUME:-/var/lib/mysql}
run=${BATON_RUN:-/run/mysqld}
config=${BATON_CONFIG:-/etc/baton}
internal=${BATON_INTERNAL:-/etc/baton-internal}
tls=${BATON_TLS:-/etc/baton-tls}
orders=${BATON_ORDERS:-/etc/baton-orders/orders}
termination=${BATON_TERMINATION:-/dev/termination-log}
data=$volume/data
socket=$run/mysqld.sock
ordinal=${POD_NAME##*-}

log() { printf 'baton: %s\n' "$*" >&2; }

now_ms() { # sets now; without a process where bash can, since 5.0
  local us=${EPOCHREALTIME:-}
  if [[ -n $us ]]; then now=$((${us/[.,]/} / 1000)); else now=$(date +%s%3N); fi
}

# ── The data directory ──────────────────────────────────────────────────────────────────────────────────────────────

server_uuid() { # sets uuid: of the data directory; empty if there is none
  local key value
  uuid=
  [[ -f $data/mysql.ibd && -r $data/auto.cnf ]] || return 0
  while IFS='=' read -r key value || [[ -n $key ]]; do
    [[ $key != server[-_]uuid ]] || uuid=${value,,}
  done <"$data/auto.cnf"
}

# MySQL remembers acknowledgements by server_id, so another one for every incarnation: of its server_uuid and, to be sure
# that no two members share one, of its ordinal. A counter on the volume would begin anew with a new volume.
server_id() { # UUID: sets id
  id=$(((16#${1:0:7} << 4) | ordinal))
}

fresh_uuid() { # sets uuid
  uuid=$(</proc/sys/kernel/random/uuid)
  while [[ ${uuid:0:7} == 0000000 ]]; do uuid=$(</proc/sys/kernel/random/uuid); done
}

# An empty data directory under a new server_uuid, with the accounts that every member is born with. It comes into its
# place in one step and complete; what an earlier attempt left is made anew. Nothing listens on the network meanwhile.
make_data() {
  fresh_uuid
  log "making an empty data directory, server_uuid $uuid"
  local new=$data.new first=$run/first
  local options=(--datadir="$new" --disable-log-bin --tmpdir="$volume/tmp")
  rm -rf "$new" "$first".*
  : >"$first.log"
  mysqld --defaults-file="$run/initialise.cnf" "${options[@]}" --initialize-insecure
  printf '[auto]\nserver-uuid=%s\n' "$uuid" >"$new/auto.cnf"
  mysqld --defaults-file="$run/my.cnf" "${options[@]}" --skip-networking --super-read-only=OFF --socket="$first.sock" \
    --pid-file="$first.pid" --init-file="$internal/accounts.sql" 2>"$first.log" &
  local server=$! tries
  for ((tries = 0; tries < 3000; tries++)); do
    [[ $(<"$first.log") != *': ready for connections'* ]] || break
    kill -0 "$server" 2>/dev/null || break
    sleep 0.1
  done
  cat "$first.log" >&2
  # An init file that fails is left off, and the server starts all the same; closing it is the last that this one does.
  [[ $(ask 10 "$first.sock" 'SELECT @@global.super_read_only') == 1 ]] || {
    log 'its accounts could not be made'
    kill -KILL "$server"
    return 1
  }
  kill -TERM "$server"
  wait "$server"
  sync -f "$volume"
  [[ ! -e $data ]] || keep_remains
  mv "$new" "$data"
  sync -f "$volume"
}

# What is where the data should be, and is none, is somebody's all the same.
keep_remains() {
  rmdir "$data" 2>/dev/null && return
  local kept
  kept=$volume/aside/remains-$(date -u +%Y%m%dT%H%M%SZ)
  mkdir -p "$volume/aside"
  mv "$data" "$kept"
  log "what was left of its data directory was moved to $kept"
}

# ── Asking mysqld ───────────────────────────────────────────────────────────────────────────────────────────────────

ask() { # SECONDS SOCKET SQL: fails if there is no answer in time
  timeout --signal=KILL "$1" mysql --defaults-file="$internal/client.cnf" --socket="$2" --batch --skip-column-names \
    --execute="$3" 2>/dev/null
}

# Both read 1 only when closing it is done: while it is pending, super_read_only alone does.
readonly CLOSED="@@global.super_read_only = 1 AND @@global.read_only = 1 AND NOT EXISTS (SELECT 1
  FROM performance_schema.global_status WHERE variable_name = 'Rpl_semi_sync_source_wait_sessions' AND variable_value > 0)"

# ── prepare ─────────────────────────────────────────────────────────────────────────────────────────────────────────

prepare() {
  rm -rf "$volume/tmp"
  mkdir -p "$volume/tmp"
  cp "$config/member.sh" "$config/my.cnf" "$config/initialise.cnf" "$run/"
  server_uuid
  [[ -n $uuid ]] || make_data
  server_uuid
  [[ -n $uuid ]] || { log "expected a data directory in $data, found none"; exit 1; }
  report >"$termination"
}

report() {
  local aside list=
  for aside in $(ls -tr "$volume/aside" 2>/dev/null); do
    [[ ! $aside =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]] || list+=${list:+,}\"$aside\"
  done
  printf '{"ordinal":%d,"serverUuid":"%s","bootId":"%s","asides":[%s]}' \
    "$ordinal" "$uuid" "$(</proc/sys/kernel/random/boot_id)" "$list"
}

# ── run ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

stopping=        # told to stop
pid=             # mysqld's; empty while there is none
began=0          # when it was started, ms since 1970
failed_starts=0  # in a row
failures=0       # ends in a row that came soon
retry_at=0       # not before, ms since 1970
ticks=0
shown=           # the certificates that mysqld has read

run() {
  # mysqld dies with process 1, so that goes on whatever fails; each failure that matters is looked at.
  set +e
  trap 'stopping=1' TERM INT
  # A pipe that never says anything: waiting on it starts no process.
  exec {ticker}<> <(:)
  # What a former life was dropping.
  rm -rf "$volume"/aside/dropped-* &
  while [[ -z $stopping ]]; do
    if [[ -z $pid ]]; then start; elif ! kill -0 "$pid" 2>/dev/null; then ended; continue; fi
    obey
    tick
  done
  stop 0
}

tick() { # about 100 ms; shows now and then that this goes round
  if ((ticks++ % 50 == 0)); then
    : >"$run/alive"
    renew_tls
  fi
  read -rt 0.1 -u "$ticker" || true
}

# A certificate that was renewed on the disk is read again, when asked for; connections stay.
renew_tls() {
  [[ -n $pid && -n $shown ]] || return
  certificates
  [[ $found != "$shown" ]] || return
  [[ -n $(ask 2 "$socket" 'ALTER INSTANCE RELOAD TLS; SELECT 1') ]] || return
  log 'its certificate has changed: it shows the new one'
  shown=$found
}

certificates() { # sets found
  found=
  [[ ! -r $tls/tls.crt || ! -r $tls/ca.crt ]] || found="$(<"$tls/ca.crt") $(<"$tls/tls.crt")"
}

start() {
  if ((retry_at > 0)); then
    now_ms
    ((now >= retry_at)) || return
  fi
  server_uuid
  if [[ -z $uuid ]]; then
    log 'there is no data directory: it starts as a new, empty member'
    make_data_ticking || { failed_start; return; }
    server_uuid
  fi
  server_id "$uuid"
  # mysqld would take a dead process's lock file for a living one's.
  rm -f "$socket" "$socket.lock"
  certificates
  shown=$found
  now_ms
  began=$now
  # CLONE ends in a restart, which mysqld leaves to its parent if it knows that it has one.
  MYSQLD_PARENT_PID=$$ mysqld --defaults-file="$run/my.cnf" --server-id="$id" --report-host="$POD_NAME" \
    --admin-address="$POD_IP" &
  pid=$!
}

make_data_ticking() {
  (set -e; make_data) &
  local maker=$!
  while kill -0 "$maker" 2>/dev/null; do
    [[ -z $stopping ]] || { abandon "$maker"; exit 0; }
    tick
  done
  wait "$maker"
}

abandon() { # as good as never begun
  kill -KILL "$1" 2>/dev/null || true
  [[ ! -f $run/first.pid ]] || kill -KILL "$(<"$run/first.pid")" 2>/dev/null || true
}

ended() {
  local code=0
  wait "$pid" || code=$?
  pid=
  now_ms
  if [[ ! -S $socket ]] && ((code != 16)); then
    log "mysqld ended at its start, exit code $code"
    failed_start
    return
  fi
  failed_starts=0
  # RESTART, which ends every CLONE, and what was asked for, are no failures.
  if ((code != 16 && code != 0 && now - began < 30000)); then failures=$((failures + 1)); else failures=0; fi
  log "mysqld ended, exit code $code: it is started again"
  retry_at=0
  ((failures < 2)) || back_off "$failures"
}

failed_start() {
  failed_starts=$((failed_starts + 1))
  back_off "$failed_starts"
  ((failed_starts != 3)) || tell
}

back_off() { # FAILURES: from 200 ms to 10 s
  local ms=$((100 << ($1 < 7 ? $1 : 7)))
  now_ms
  retry_at=$((now + (ms < 10000 ? ms : 10000)))
}

# Why mysqld does not start is in its log. A container that fails has the end of it in the Pod's status, for everybody to
# see; but a kubelet that starts it again takes its time, so it is told once in a while only.
tell() {
  local last=0
  [[ ! -f $run/told ]] || last=$(<"$run/told")
  now_ms
  ((now - last >= 600000)) || return
  printf '%s' "$now" >"$run/told"
  log 'mysqld does not start: see its log above'
  exit 1
}

kill_mysqld() {
  [[ -n $pid ]] || return
  kill -KILL "$pid" 2>/dev/null
  wait "$pid" 2>/dev/null
  pid=
  retry_at=0
}

# SIGTERM answers commits that wait for an acknowledgement with OK, though none came. So it is for a member that is known
# to be closed, and whose clients are sent away first, in case that somebody is just about to open it. All others are
# killed: what they acknowledged is on disk.
stop() { # EXIT-CODE
  [[ -n $pid ]] || exit "$1"
  if [[ $(ask 1 "$socket" "SELECT $CLOSED") == 1 ]] &&
    [[ $(ask 1 "$socket" "SET GLOBAL offline_mode = ON; SELECT $CLOSED") == 1 ]]; then
    log 'closed: it is stopped in an orderly way'
    kill -TERM "$pid" 2>/dev/null
    now_ms
    local deadline=$((now + 25000))
    while kill -0 "$pid" 2>/dev/null && ((now < deadline)); do
      tick
      now_ms
    done
  else
    log 'not known to be closed: it is killed, so that no commit that waits is answered'
  fi
  kill_mysqld
  (($1 != 0)) || linger
  exit "$1"
}

# A Pod's address goes with its last process, and who connects to it then hears nothing. Until Services lead elsewhere it is
# better to be refused.
linger() {
  local left
  for ((left = 10; left > 0; left--)); do tick; done
}

# ── Orders ──────────────────────────────────────────────────────────────────────────────────────────────────────────

# An order a line, from the operator (src/kubernetes/objects/orders.ts). The file is read at every tick: what is done, or
# is about something that is no more, has no effect the next time.
obey() {
  local lines=() line words
  [[ -r $orders ]] || return
  mapfile -t lines <"$orders"
  for line in "${lines[@]}"; do
    set -f
    words=($line)
    set +f
    case ${words[0]:-} in
      kill) obey_kill "${words[1]:-}" ;;
      rebuild) obey_rebuild "${words[1]:-}" "${words[3]:-}" "$line" ;;
      drop) obey_drop "${words[1]:-}" ;;
    esac
  done
}

obey_kill() { # MS
  [[ -n $pid && $1 =~ ^[0-9]+$ ]] || return
  ((began <= $1)) || return
  log 'told to kill mysqld'
  kill_mysqld
}

obey_rebuild() { # UUID GTIDS ORDER
  local refused=
  is_uuid "$1" || return
  server_uuid
  [[ $uuid == "$1" ]] || return
  [[ ! -f $run/refused ]] || refused=$(<"$run/refused")
  [[ $refused != "$3" ]] || return
  log "told to give up data $1"
  has_room || refuse "$3" "$room"
  kill_mysqld
  [[ -z $2 ]] || save_logs "$1" "$2" || refuse "$3" "what only it has could not be saved below $volume/saved"
  mkdir -p "$volume/aside" && rm -rf "${volume:?}/aside/$1" && mv "$data" "$volume/aside/$1" && sync -f "$volume" ||
    refuse "$3" "its data could not be moved to $volume/aside"
}

# The reason is in the Pod's status once the container has ended; it is started again, with its data as it was.
refuse() { # ORDER WHY
  printf '%s' "$1" >"$run/refused"
  log "refused: $2"
  printf '%s' "$2" >"$termination"
  stop 1
}

has_room() { # for new data beside the old; sets room
  local used free
  used=$(du -sk "$data" | cut -f1)
  free=$(df -Pk "$volume" | { read -r _; read -r _ _ _ free _; printf '%s' "$free"; })
  room="not enough disk to rebuild beside the old data: $((used / 1024 + 64)) MiB needed, $((free / 1024)) MiB free"
  ((free >= used + 65536))
}

# The logs that hold what only this data has: hard links, so they cost nothing until the data is dropped; and readable, where
# the image has mysqlbinlog. That may fail at a log that a kill has torn; the logs are there all the same.
save_logs() { # UUID GTIDS
  local saved draft name log_file
  saved=$volume/saved/$(date -u +%Y%m%dT%H%M%SZ)-$1
  draft=$saved.draft
  mkdir -p "$draft" || return
  printf 'Transactions that only the discarded data %s of member %s had:\n%s\nThey are in these logs; errant.sql, if there is one, shows them.\n' \
    "$1" "$ordinal" "$2" >"$draft/README"
  for log_file in "$data"/binlog.[0-9]* "$data"/relay.[0-9]*; do
    [[ ! -s $log_file ]] || cp -l "$log_file" "$draft/" || return 1
  done
  if command -v mysqlbinlog >/dev/null; then
    for log_file in "$draft"/*.[0-9]*; do
      name=${log_file##*/}
      printf -- '-- %s\n' "$name" >>"$draft/errant.sql"
      mysqlbinlog --no-defaults --verbose --base64-output=decode-rows --include-gtids="$2" "$log_file" \
        >>"$draft/errant.sql" 2>>"$draft/mysqlbinlog.log" || log "mysqlbinlog could not read all of $name"
    done
  fi
  sync -f "$volume" && mv "$draft" "$saved" || return
  log "saved the logs with transactions that only it has to $saved"
}

obey_drop() { # UUID
  is_uuid "$1" && [[ -d $volume/aside/$1 ]] || return
  log "dropping data $1, set aside earlier"
  # In one step out of the way; half of it is never taken for the whole.
  mv "$volume/aside/$1" "$volume/aside/dropped-$1" && rm -rf "${volume:?}/aside/dropped-$1" &
}

is_uuid() { [[ $1 =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]]; }

# ── drain, alive ────────────────────────────────────────────────────────────────────────────────────────────────────

# Returns as soon as there is nothing to wait for: it follows another by now; it has been closed for two seconds, without
# following anybody; nobody follows it, so nobody could take over; or it does not answer, twice. Then, or if this never
# ran, SIGTERM comes, and `run` does what is right without it.
drain() { # SECONDS
  local deadline closed follows followers idle=0 unheard=0
  now_ms
  deadline=$((now + $1 * 1000))
  while ((now < deadline)); do
    if ! read -r closed follows followers < <(
      ask 2 "$socket" "SELECT $CLOSED,
        EXISTS (SELECT 1 FROM performance_schema.replication_connection_configuration WHERE CHANNEL_NAME = '' AND HOST <> ''),
        (SELECT COUNT(*) FROM performance_schema.processlist WHERE COMMAND LIKE 'Binlog Dump%')"
    ); then
      unheard=$((unheard + 1))
      ((unheard < 2)) || return 0
      sleep 0.2
      now_ms
      continue
    fi
    unheard=0
    if ((closed && follows)); then return 0; fi
    if ((closed || followers == 0)); then idle=$((idle + 1)); else idle=0; fi
    ((idle < 10)) || return 0
    sleep 0.2
    now_ms
  done
  log 'the switchover did not come in time'
}

alive() {
  now_ms
  (($(stat -c %Y "$run/alive") * 1000 + 60000 > now))
}

main() {
  case ${1:-} in
    prepare) prepare ;;
    run) run ;;
    drain) drain "$2" ;;
    alive) alive ;;
    *) log "expected prepare, run, drain or alive, found \"${1:-}\""; exit 2 ;;
  esac
}

main "$@"
exit
