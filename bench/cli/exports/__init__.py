"""The forms of ``run_all.py export``, a module each."""
