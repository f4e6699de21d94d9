"""Tells a job that an older version of t2t-bench queued that it cannot run any more: its pickle names this module."""

raise SystemExit("bench: this job was queued by an older version of t2t-bench; submit the run again")
