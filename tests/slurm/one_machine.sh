#!/usr/bin/env bash
# A SLURM of two nodes on this machine alone, for tests: start DIR, or stop DIR. Needs root and Debian's slurm-wlm.
# `start` prints the SLURM_CONF to use. The nodes have CPUS processors each, whatever the machine has; ports are PORT
# and those after it.
set -euo pipefail
D=$2
CPUS=${CPUS:-2}
PORT=${PORT:-16837}
case $1 in
start)
    H=$(hostname -s)
    mkdir -p "$D/state" "$D/spool" "$D/log"
    chmod 755 "$D" # munged refuses 0700
    (umask 077; head -c1024 /dev/urandom >"$D/munge.key")
    cat >"$D/slurm.conf" <<C
ClusterName=test
SlurmctldHost=$H(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=root
AuthInfo=socket=$D/munge.socket
StateSaveLocation=$D/state
SlurmdSpoolDir=$D/spool/%n
SlurmctldPidFile=$D/slurmctld.pid
SlurmdPidFile=$D/slurmd.%n.pid
SlurmctldLogFile=$D/log/ctld
SlurmdLogFile=$D/log/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SchedulerParameters=bf_interval=1,sched_interval=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
GresTypes=gpu
ReturnToService=2
SlurmdTimeout=20
KillWait=5
NodeName=n[1-2] NodeHostname=$H NodeAddr=127.0.0.1 Port=[$((PORT + 2))-$((PORT + 3))] CPUs=$CPUS RealMemory=4000 Gres=gpu:2
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
C
    echo 'NodeName=n[1-2] Name=gpu File=/dev/tty[0-1]' >"$D/gres.conf"
    export SLURM_CONF=$D/slurm.conf
    munged --key-file="$D/munge.key" --socket="$D/munge.socket" --pid-file="$D/munged.pid" \
        --log-file="$D/log/munged" --seed-file="$D/munge.seed"
    slurmctld
    slurmd -N n1
    slurmd -N n2
    for _ in $(seq 300); do
        [ "$(sinfo -h -t idle -o %D 2>/dev/null)" = 2 ] && { echo "$SLURM_CONF"; exit; }
        sleep .1
    done
    echo "the nodes do not come up; see $D/log" >&2
    exit 1
    ;;
stop)
    export SLURM_CONF=$D/slurm.conf
    scancel --user=root 2>/dev/null || true
    for pid in "$D"/slurmd.*.pid "$D"/slurmctld.pid "$D"/munged.pid; do
        [ -f "$pid" ] && kill "$(cat "$pid")" 2>/dev/null || true
    done
    ;;
*)
    echo "usage: $0 start|stop DIR" >&2
    exit 2
    ;;
esac
