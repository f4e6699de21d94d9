"""What this suite trains beside the paper's own runs. Data and pure functions: nothing here reads or trains."""
