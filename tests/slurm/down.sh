#!/usr/bin/env bash
# Stops what up.sh FOLDER started, and nothing else.
folder=$(realpath -m "${1:?folder of its state}")
scancel --user="$(id -un)" 2>/dev/null
for pid in "$folder"/run/{slurmd,slurmctld,slurmdbd}.pid "$folder"/{sql,munge}/pid; do
  [ -s "$pid" ] && kill "$(cat "$pid")" 2>/dev/null
done
for conf in slurm gres cgroup slurmdbd; do
  [ "$(readlink -f /etc/slurm/$conf.conf)" = "$folder/$conf.conf" ] && rm "/etc/slurm/$conf.conf"
done
exit 0
