#!/usr/bin/env bash
# A real SLURM of one node on loopback, as root, without systemd and without cgroups; own munge key.
# Needs, on Debian: apt-get install -y --no-install-recommends slurm-wlm munge
#   up.sh FOLDER        starts it and writes FOLDER/slurm.conf; down.sh FOLDER stops it
# FAKE_GPUS=2 declares two countable GPUs with nothing behind them.
set -euo pipefail
folder=$(realpath -m "${1:?folder for its state}")
gpus=${FAKE_GPUS:-0}
host=$(hostname -s)
port=${SLURM_TEST_PORT:-17117}
# Cores are what the node shares out; memory is declared large enough for every request.
memory=100000
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
MinJobAge=300
JobRequeue=0
AccountingStorageType=accounting_storage/none
$([ "$gpus" -gt 0 ] && echo GresTypes=gpu)
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$memory State=UNKNOWN $([ "$gpus" -gt 0 ] && echo "Gres=gpu:$gpus")
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
CONF
# Snakemake's plugin takes SLURM_CONF out of the environment of jobs: the default place must do.
mkdir -p /etc/slurm
ln -sfn "$folder"/{slurm,gres,cgroup}.conf /etc/slurm/
slurmctld
slurmd
for _ in $(seq 120); do
  state=$(timeout 5 sinfo --noheader --format=%T 2>/dev/null || true)
  case $state in
  idle | mixed | allocated) exit 0 ;;
  down* | unknown*) scontrol update "nodename=$host" state=resume 2>/dev/null || true ;;
  esac
  sleep 0.5
done
tail -n 20 "$folder"/log/*.log >&2
exit 1
