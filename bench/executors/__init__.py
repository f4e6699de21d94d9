"""Where runs go: to Slurm, or to this machine; both through submitit."""
