"""`python -m bptt`: the command line."""

import sys

from bptt.app.options import main

sys.exit(main())
