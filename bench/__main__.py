"""``python -m bench``: the program of ``run_all.py``."""

import sys

from run_all import main

if __name__ == "__main__":
    sys.exit(main())
