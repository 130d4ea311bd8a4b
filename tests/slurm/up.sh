#!/usr/bin/env bash
# A real SLURM of one node on loopback, as root, without systemd and without cgroups; own munge key.
# Needs, on Debian: apt-get install -y --no-install-recommends slurm-wlm munge
#   up.sh FOLDER        starts it and writes FOLDER/slurm.conf; down.sh FOLDER stops it
# FAKE_GPUS=2 declares two countable GPUs with nothing behind them, FAKE_CORES=4 four cores.
# ACCOUNTING=1 adds slurmdbd and a MariaDB of its own (Debian's slurmdbd and mariadb-server).
set -euo pipefail
folder=$(realpath -m "${1:?folder for its state}")
gpus=${FAKE_GPUS:-0}
host=$(hostname -s)
port=${SLURM_TEST_PORT:-17117}
# Cores are what the node shares out; memory is declared large enough for every request.
# (Without --all, nproc counts as many as OMP_NUM_THREADS says.)
cores=${FAKE_CORES:-$(nproc --all)}
memory=100000
accounting=none
if (: >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
  echo "port $port is in use: is another SLURM of these tests at work?" >&2
  exit 1
fi
mkdir -p "$folder"/{state,spool,log,run,munge,gpus}
chmod 755 "$folder"

key=$folder/munge/munge.key
if [ ! -f "$key" ]; then
  dd if=/dev/urandom of="$key" bs=1024 count=1 status=none
  chmod 400 "$key"
fi
chown -R munge: "$folder/munge"
if ! munge -S "$folder/munge/socket" -n >/dev/null 2>&1; then
  setpriv --reuid=munge --regid=munge --init-groups munged --force --key-file="$key" \
    --socket="$folder/munge/socket" --pid-file="$folder/munge/pid" \
    --log-file="$folder/munge/log" --seed-file="$folder/munge/seed"
fi

if [ -n "${ACCOUNTING:-}" ]; then
  accounting=slurmdbd
  mkdir -p "$folder/sql"
  chown mysql: "$folder/sql"
  mariadb-install-db --no-defaults --user=mysql --datadir="$folder/sql/data" --skip-test-db \
    --auth-root-authentication-method=normal >"$folder/log/sql-install.log" 2>&1
  mariadbd --no-defaults --user=mysql --datadir="$folder/sql/data" --skip-networking \
    --socket="$folder/sql/socket" --pid-file="$folder/sql/pid" >"$folder/log/sql.log" 2>&1 &
  for _ in $(seq 60); do
    mariadb --no-defaults --socket="$folder/sql/socket" --execute='create database slurm' \
      2>/dev/null && break
    sleep 0.5
  done
  cat >"$folder/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
DbdHost=$host
DbdAddr=127.0.0.1
DbdPort=$((port + 2))
SlurmUser=root
StorageType=accounting_storage/mysql
StorageUser=root
StorageLoc=slurm
LogFile=$folder/log/slurmdbd.log
PidFile=$folder/run/slurmdbd.pid
CONF
  chmod 600 "$folder/slurmdbd.conf"
  mkdir -p /etc/slurm
  ln -sfn "$folder/slurmdbd.conf" /etc/slurm/
  # The client library knows a server here by its socket alone.
  MYSQL_UNIX_PORT=$folder/sql/socket slurmdbd
  # slurmctld gives up for good where it is not there yet.
  for _ in $(seq 60); do
    (: >"/dev/tcp/127.0.0.1/$((port + 2))") 2>/dev/null && break
    sleep 0.5
  done
fi

: >"$folder/gres.conf"
: >"$folder/cgroup.conf"
for ((gpu = 0; gpu < gpus; gpu++)); do
  [ -e "$folder/gpus/$gpu" ] || mknod "$folder/gpus/$gpu" c 1 3
  echo "NodeName=$host Name=gpu File=$folder/gpus/$gpu" >>"$folder/gres.conf"
done
cat >"$folder/slurm.conf" <<CONF
ClusterName=viamachinae
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
AuthType=auth/munge
AuthInfo=socket=$folder/munge/socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$folder/state
SlurmdSpoolDir=$folder/spool
SlurmctldPidFile=$folder/run/slurmctld.pid
SlurmdPidFile=$folder/run/slurmd.pid
SlurmctldLogFile=$folder/log/slurmctld.log
SlurmdLogFile=$folder/log/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=2,sched_min_interval=0
KillWait=5
SlurmdTimeout=60
ReturnToService=2
SlurmdParameters=config_overrides
MinJobAge=3600
JobRequeue=0
AccountingStorageType=accounting_storage/$accounting
$([ "$accounting" != none ] && printf '%s\n' AccountingStorageHost=127.0.0.1 \
    "AccountingStoragePort=$((port + 2))" "AccountingStoragePass=$folder/munge/socket")
$([ "$gpus" -gt 0 ] && echo GresTypes=gpu)
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cores RealMemory=$memory State=UNKNOWN $([ "$gpus" -gt 0 ] && echo "Gres=gpu:$gpus")
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
# Snakemake's plugin takes SLURM_CONF out of the environment of jobs: the default place must do.
mkdir -p /etc/slurm
ln -sfn "$folder"/{slurm,gres,cgroup}.conf /etc/slurm/
slurmctld
slurmd
SECONDS=0
while [ "$SECONDS" -lt 60 ]; do
  state=$(timeout 5 sinfo --noheader --format=%T 2>/dev/null || true)
  case $state in
  idle | mixed | allocated) exit 0 ;;
  down* | unknown*) scontrol update "nodename=$host" state=resume 2>/dev/null || true ;;
  esac
  sleep 0.5
done
tail -n 20 "$folder"/log/*.log >&2
exit 1
