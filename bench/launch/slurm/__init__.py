"""Slurm, through its own commands and submitit."""
