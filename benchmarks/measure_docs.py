"""One command for all tables and charts of the documentation: measures everything anew, on a quiet machine."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    text = Path(os.environ.get("BPTT_DATA", ""), "tinyshakespeare.txt")
    parser.add_argument("--text", type=Path, default=text, help="of the whole training (default %(default)s)")
    parser.add_argument("--output", type=Path, default=HERE.parent / "docs", help="the folder (default docs)")
    parser.add_argument("--quick", action="store_true", help="a few small lines, to see that all of it runs")
    options = parser.parse_args()
    compare = [str(HERE / "compare.py"), *["--quick"] * options.quick]
    training = [str(HERE / "training.py"), str(options.text), *["--rounds", "1"] * options.quick]
    neurons = [str(HERE / "neurons.py"), *["--quick"] * options.quick, "--output", str(options.output)]
    steps = [str(HERE / "streaming.py"), *["--quick"] * options.quick]
    steps += ["--out", str(options.output / "benchmark_streaming.md")]
    machines = [str(HERE / "machines.py"), *["--quick"] * options.quick, "--output", str(options.output)]
    commands = [compare] if options.quick and not options.text.is_file() else [compare, training]
    for command in [*([*command, "--output", str(options.output)] for command in commands), steps, neurons, machines]:
        subprocess.run([sys.executable, *command], check=True)


if __name__ == "__main__":
    main()
