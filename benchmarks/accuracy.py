"""How far float32 gradients are from float64's, over long sequences: this package's and those of PyTorch's nn.RNN."""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from statistics import median

from tqdm import tqdm

from peers import OURS, PEERS
from problem import PARAMETERS, Line, Problem, errors

THEIRS = next(peer for peer in PEERS if peer.name == "PyTorch")
LENGTHS, SIZES = (100, 1000, 10_000, 100_000), (32, 64, 128)
NAMES = ("loss", *PARAMETERS)


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tau", type=int, nargs="+", default=LENGTHS, help="lengths (default: %(default)s)")
    parser.add_argument("--n-hidden", type=int, nargs="+", default=SIZES, help="units (default: %(default)s)")
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 8], help="sequences (default: %(default)s)")
    parser.add_argument("--seeds", type=int, default=5, help="problems of each size (default: %(default)s)")
    return parser.parse_args()


def measured(line: Line, seed: int) -> dict[str, tuple[float, float]]:
    """Of each gradient, and of the loss: the relative error in norm of this package's float32, and of PyTorch's."""
    problem = Problem(line, "float32", seed)
    exact = OURS.build(problem.as_float64(), 1).answer("gradient")
    ours, theirs = (
        errors(entry.build(problem, 1).answer("gradient"), exact, problem.valid) for entry in (OURS, THEIRS)
    )
    return {name: (ours[name], theirs[name]) for name in NAMES}


def main() -> None:
    """Print a table, a line for each size. Exit code 1 if an error is larger than PyTorch's."""
    options = arguments()
    print(f"Medians of {options.seeds} problems: this package / PyTorch\n")
    print("| tau | batch | n_hidden | " + " | ".join(NAMES) + " |")
    print("|---:|---:|---:|" + "---|" * len(NAMES))
    larger = []
    for tau in options.tau:
        for batch in options.batch:
            for n_hidden in options.n_hidden:
                line = Line(tau, batch, 16, n_hidden, 16)
                found: dict[str, list[tuple[float, float]]] = defaultdict(list)
                for seed in tqdm(range(options.seeds), desc=str(line), leave=False, disable=None):
                    for name, pair in measured(line, seed).items():
                        found[name].append(pair)
                medians = {name: [median(side) for side in zip(*found[name], strict=True)] for name in NAMES}
                larger += [(str(line), name, *pair) for name, pair in medians.items() if pair[0] > pair[1]]
                cells = [f"{ours:.1e} / {theirs:.1e}" for ours, theirs in medians.values()]
                print(f"| {tau} | {batch} | {n_hidden} | " + " | ".join(cells) + " |", flush=True)
    for line, name, ours, theirs in larger:
        print(f"{line}: the error of {name} is {ours:.2e}, PyTorch's {theirs:.2e}")
    sys.exit(bool(larger))


if __name__ == "__main__":
    main()
