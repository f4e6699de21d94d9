#!/usr/bin/env bash
# A real Slurm on this machine for the tests: cluster.sh install | up | down | kill DAEMON | stop DAEMON | start DAEMON
#
# Five virtual nodes with four fake GPUs each, accounting, preemption. Everything it writes lies in $T2T_SLURM
# (/tmp/t2t-slurm), but for a line in /etc/hosts: torch finds the first node of a job by its name. Needs root.
#   gpu     n1 n2   the default
#   spare   n3 n4   nodes that tests take down
#   low     n5      loses its jobs to "high"; they get SIGTERM and 15 s, as in most clusters
#   closed  n1      holds jobs back until it is opened
set -euo pipefail
base=${T2T_SLURM:-/tmp/t2t-slurm}
export SLURM_CONF=$base/etc/slurm.conf
nodes=(n1 n2 n3 n4 n5)

packages() { # that Debian has
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        slurmctld slurmd slurm-client munge slurmdbd mariadb-server slurm-wlm-mysql-plugin
}

alive() { [ -s "$base/run/$1.pid" ] && kill -0 "$(cat "$base/run/$1.pid")" 2>/dev/null; }

until_true() { # SECONDS COMMAND...
    local tries=$(($1 * 10))
    shift
    for _ in $(seq $tries); do "$@" >/dev/null 2>&1 && return; sleep 0.1; done
    echo "cluster.sh: gave up waiting for: $*; logs are in $base/log" >&2
    return 1
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

configure() {
    local host port=17001
    host=$(hostname -s)
    mkdir -p "$base"/{etc,run,log,state,spool,dev,munge}
    chmod 755 "$base" "$base/run"
    chmod 700 "$base/munge"
    [ -f "$base/munge/key" ] || (umask 077; head -c 1024 /dev/urandom >"$base/munge/key")
    for i in 0 1 2 3; do [ -c "$base/dev/gpu$i" ] || mknod "$base/dev/gpu$i" c 1 3; done
    cat >"$base/etc/gres.conf" <<-EOF # a count without files is refused
	NodeName=n[1-2,5] Name=gpu File=$base/dev/gpu[0-3]
	NodeName=n[3-4] Name=gpu Type=a100 File=$base/dev/gpu[0-3]
	EOF
    (umask 077; cat >"$base/etc/slurmdbd.conf") <<-EOF
	AuthType=auth/munge
	AuthInfo=socket=$base/run/munge.socket
	DbdHost=localhost
	DbdPort=16819
	SlurmUser=root
	LogFile=$base/log/slurmdbd.log
	PidFile=$base/run/slurmdbd.pid
	StorageType=accounting_storage/mysql
	StorageHost=127.0.0.1
	StoragePort=13306
	StorageLoc=slurm_acct_db
	StorageUser=slurm
	StoragePass=slurm
	EOF
    {
        cat <<-EOF
	ClusterName=t2t-tests
	SlurmctldHost=$host(127.0.0.1)
	SlurmctldPort=16817
	SlurmUser=root
	AuthType=auth/munge
	AuthInfo=socket=$base/run/munge.socket,cred_expire=5
	StateSaveLocation=$base/state
	SlurmdSpoolDir=$base/spool/%n
	SlurmctldPidFile=$base/run/slurmctld.pid
	SlurmdPidFile=$base/run/slurmd-%n.pid
	SlurmctldLogFile=$base/log/slurmctld.log
	SlurmdLogFile=$base/log/slurmd-%n.log
	ProctrackType=proctrack/linuxproc
	TaskPlugin=task/none
	SelectType=select/cons_tres
	SelectTypeParameters=CR_Core_Memory
	SlurmdParameters=config_overrides
	GresTypes=gpu
	Licenses=matlab:4
	EnforcePartLimits=ALL
	MpiDefault=none
	ReturnToService=2
	JobRequeue=1
	KillWait=5
	MinJobAge=60
	MaxArraySize=1001
	MaxJobCount=20000
	SchedulerType=sched/backfill
	SchedulerParameters=bf_interval=2,sched_interval=1,sched_min_interval=100000
	SlurmdTimeout=300
	PreemptType=preempt/partition_prio
	PreemptMode=REQUEUE
	AccountingStorageType=accounting_storage/slurmdbd
	AccountingStorageHost=localhost
	AccountingStoragePort=16819
	AccountingStoragePass=$base/run/munge.socket
	AccountingStorageEnforce=limits,qos
	JobAcctGatherType=jobacct_gather/linux
	JobAcctGatherFrequency=task=1
	JobAcctGatherParams=OverMemoryKill
	EOF
        for node in "${nodes[@]}"; do
            case $node in n3 | n4) gpus=gpu:a100:4 ;; *) gpus=gpu:4 ;; esac
            echo "NodeName=$node NodeHostname=$host NodeAddr=127.0.0.1 Port=$port CPUs=8 RealMemory=16000 Gres=$gpus"
            port=$((port + 1))
        done
        cat <<-EOF
	PartitionName=gpu Nodes=n1,n2 Default=YES DefMemPerCPU=1900 MaxTime=3-00:00:00 PreemptMode=OFF
	PartitionName=spare Nodes=n3,n4 DefMemPerCPU=1900 PreemptMode=OFF
	PartitionName=low Nodes=n5 DefMemPerCPU=1900 PriorityTier=1 PreemptMode=REQUEUE GraceTime=15
	PartitionName=high Nodes=n5 DefMemPerCPU=1900 PriorityTier=10 PreemptMode=OFF
	PartitionName=closed Nodes=n1 DefMemPerCPU=1900 MaxTime=12:00:00 PreemptMode=OFF State=DOWN
	EOF
    } >"$SLURM_CONF"
    grep -q "^127.0.0.1 ${nodes[*]}$" /etc/hosts || echo "127.0.0.1 ${nodes[*]}" >>/etc/hosts
}

start() {
    alive "$1" && return
    case $1 in
    munged)
        munged --force --key-file="$base/munge/key" --socket="$base/run/munge.socket" --pid-file="$base/run/munged.pid" \
            --log-file="$base/munge/log" --seed-file="$base/munge/seed" ;;
    mariadb)
        mkdir -p "$base/db"
        chown mysql: "$base/db"
        [ -d "$base/db/mysql" ] || mariadb-install-db --user=mysql --datadir="$base/db" --skip-test-db >"$base/log/mariadb-install.log" 2>&1
        setsid mariadbd --no-defaults --user=mysql --datadir="$base/db" --socket="$base/db/socket" --port=13306 \
            --bind-address=127.0.0.1 --pid-file="$base/db/pid" --innodb-flush-log-at-trx-commit=0 \
            --innodb-lock-wait-timeout=900 >"$base/log/mariadb.log" 2>&1 </dev/null &
        echo $! >"$base/run/mariadb.pid"
        until_true 30 mariadb --socket="$base/db/socket" -e "select 1"
        mariadb --socket="$base/db/socket" -e "CREATE DATABASE IF NOT EXISTS slurm_acct_db;
            CREATE USER IF NOT EXISTS 'slurm'@'localhost' IDENTIFIED BY 'slurm';
            GRANT ALL ON slurm_acct_db.* TO 'slurm'@'localhost'" ;;
    slurmdbd) slurmdbd && until_true 30 listens 16819 ;;
    slurmctld) slurmctld && until_true 30 sh -c "scontrol ping | grep -q 'is UP'" ;;
    slurmd-*) mkdir -p "$base/spool/${1#slurmd-}" && slurmd -N "${1#slurmd-}" ;;
    *) echo "cluster.sh: no daemon '$1'" >&2 && return 2 ;;
    esac
}

stop() { # DAEMON [SIGNAL]
    alive "$1" || return 0
    local pid
    pid=$(cat "$base/run/$1.pid")
    kill "-${2:-TERM}" "$pid"
    until_true 20 sh -c "! kill -0 $pid" || kill -9 "$pid"
}

limits() { # as sites have them: by account and by quality of service
    sacctmgr -i add qos few MaxSubmitJobsPerUser=30 MaxWall=02:00:00 >/dev/null || true # from an earlier life
    sacctmgr -i add qos sweeps MaxSubmitJobsPerUser=30 >/dev/null || true
    sacctmgr -i modify user root set qos=normal,few,sweeps >/dev/null
    sacctmgr -i add user daemon account=root >/dev/null || true
}

case ${1:-} in
install) packages ;;
up)
    configure
    for daemon in munged mariadb slurmdbd slurmctld "${nodes[@]/#/slurmd-}"; do start "$daemon"; done
    until_true 30 sh -c "[ \"\$(sinfo -h -N -t idle,mix,alloc -o %N | sort -u | wc -l)\" = ${#nodes[@]} ]"
    limits
    echo "$SLURM_CONF" ;;
down)
    for daemon in "${nodes[@]/#/slurmd-}" slurmctld slurmdbd mariadb munged; do stop "$daemon"; done
    rm -rf "$base" ;;
kill) stop "$2" KILL ;;
stop) stop "$2" ;;
start) start "$2" ;;
*) echo "usage: cluster.sh install | up | down | kill DAEMON | stop DAEMON | start DAEMON" >&2 && exit 2 ;;
esac
