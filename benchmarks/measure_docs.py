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
    series = Path(os.environ.get("BPTT_DATA", ""), "series")
    parser.add_argument("--series", type=Path, default=series, help="the folder of series (default %(default)s)")
    parser.add_argument("--output", type=Path, default=HERE.parent / "docs", help="the folder (default docs)")
    parser.add_argument("--quick", action="store_true", help="a few small lines, to see that all of it runs")
    options = parser.parse_args()
    compare = [str(HERE / "compare.py"), *["--quick"] * options.quick]
    training = [str(HERE / "training.py"), str(options.text), *["--rounds", "1"] * options.quick]
    neurons = [str(HERE / "neurons.py"), *["--quick"] * options.quick, "--output", str(options.output)]
    many = [str(HERE / "many_networks.py"), *["--quick"] * options.quick, "--output", str(options.output)]
    steps = [str(HERE / "streaming.py"), *["--quick"] * options.quick]
    steps += ["--out", str(options.output / "benchmark_streaming.md")]
    machines = [str(HERE / "machines.py"), *["--quick"] * options.quick, "--output", str(options.output)]
    forecasts = [str(HERE / "forecasts.py"), str(options.series)]
    forecasts += ["airpassengers", "--no-peers"] if options.quick else []
    commands = [compare] if options.quick and not options.text.is_file() else [compare, training]
    commands += [forecasts] if options.series.is_dir() or not options.quick else []
    for command in [
        *([*command, "--output", str(options.output)] for command in commands),
        steps,
        neurons,
        many,
        machines,
    ]:
        subprocess.run([sys.executable, *command], check=True)


if __name__ == "__main__":
    main()
