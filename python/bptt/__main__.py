"""`python -m bptt`: the command line."""

import sys

from bptt.cli import main

sys.exit(main())
