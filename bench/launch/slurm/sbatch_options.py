"""sbatch's own options and variables, as far as this program passes them on."""

FURTHER = frozenset(
    """
    acctg_freq bb bbf begin cluster_constraint comment container container_id contiguous core_spec cores_per_socket
    cpu_freq cpus_per_gpu deadline delay_boot distribution export extra extra_node_info get_user_env gpu_bind gpu_freq
    gres gres_flags hint hold licenses mcs_label mem_bind mem_per_cpu mem_per_gpu mincpus network nice no_kill
    ntasks_per_core ntasks_per_socket oom_kill_step overcommit oversubscribe power prefer priority profile propagate
    reboot resv_ports segment sockets_per_node spread_job stepmgr switches thread_spec threads_per_core time_min tmp
    tres_bind tres_per_task use_min_nodes wait_all_nodes wckey
    """.split()
)
"""options by name, with underscores, whose values nothing here looks at; what sbatch has besides, such as output,
array, ntasks, gpus and requeue, this program sets itself"""

_MEMORY = ("mem", "mem_gb", "mem_per_cpu", "mem_per_gpu")
TOGETHER = {key: tuple(other for other in _MEMORY if other != key) for key in _MEMORY}
"""by key, those of which a job has at most one"""

BY_VARIABLE = {
    "SBATCH_ACCOUNT": "account",
    "SBATCH_ACCTG_FREQ": "acctg_freq",
    "SBATCH_CONSTRAINT": "constraint",
    "SBATCH_CONTAINER": "container",
    "SBATCH_CORE_SPEC": "core_spec",
    "SBATCH_CPUS_PER_GPU": "cpus_per_gpu",
    "SBATCH_DELAY_BOOT": "delay_boot",
    "SBATCH_DISTRIBUTION": "distribution",
    "SBATCH_EXCLUSIVE": "exclusive",
    "SBATCH_EXPORT": "export",
    "SBATCH_GPU_BIND": "gpu_bind",
    "SBATCH_GPU_FREQ": "gpu_freq",
    "SBATCH_GPUS_PER_NODE": "gpus_per_node",
    "SBATCH_GRES": "gres",
    "SBATCH_GRES_FLAGS": "gres_flags",
    "SBATCH_HINT": "hint",
    "SBATCH_MEM_BIND": "mem_bind",
    "SBATCH_MEM_PER_CPU": "mem_per_cpu",
    "SBATCH_MEM_PER_GPU": "mem_per_gpu",
    "SBATCH_MEM_PER_NODE": "mem",
    "SBATCH_NETWORK": "network",
    "SBATCH_PARTITION": "partition",
    "SBATCH_POWER": "power",
    "SBATCH_PROFILE": "profile",
    "SBATCH_QOS": "qos",
    "SBATCH_REQ_SWITCH": "switches",
    "SBATCH_RESERVATION": "reservation",
    "SBATCH_THREAD_SPEC": "thread_spec",
    "SBATCH_TIMELIMIT": "time",
    "SBATCH_WCKEY": "wckey",
}
"""variables from which sbatch takes options, and which would outrank those of a script; a key is filled from its
variable only where nothing else says what it is"""
