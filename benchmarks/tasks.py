"""How well, and how fast, a plain network learns each of `bptt.tasks`: a table in Markdown. Seconds of one processor.

python benchmarks/tasks.py
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

import bptt
from bptt.tasks import (
    AddingProblem,
    ContextDecisionMaking,
    CopyMemory,
    DelayMatchSample,
    FlipFlop,
    GoNogo,
    PerceptualDecisionMaking,
    ReadySetGo,
    ReberGrammar,
)

IRNN = {"activation": "relu", "init": "identity"}  # Le, Jaitly, Hinton (2015)
RUNS: list[
    tuple[str, Any, int, int, float, dict[str, Any]]
] = [  # settings, task, n_hidden, updates, learning rate, options
    ("", PerceptualDecisionMaking(), 64, 1000, 1e-3, {}),
    ("", ContextDecisionMaking(), 64, 2000, 1e-3, {}),
    ("", DelayMatchSample(), 64, 1000, 3e-3, {}),
    ("", GoNogo(), 64, 200, 3e-3, {}),
    ("", ReadySetGo(), 64, 2000, 3e-3, {}),
    ("", FlipFlop(), 64, 500, 3e-3, {}),
    ("`length=3, delay=10`", CopyMemory(length=3, delay=10), 128, 4000, 1e-3, {}),
    ("", CopyMemory(), 128, 2000, 1e-3, {}),
    ("relu, identity", AddingProblem(), 128, 4000, 1e-3, IRNN),
    ("", AddingProblem(), 128, 4000, 1e-3, {}),
    ("`embedded=False`", ReberGrammar(embedded=False), 32, 300, 3e-3, {}),
    ("", ReberGrammar(), 64, 600, 3e-3, {}),
]
BATCH, HELD_OUT = 64, 2000


def main() -> None:
    bptt.set_num_threads(1)
    print("| task | settings | units | updates | seconds | score | chance | ideal |\n|---|---|---|---|---|---|---|---|")
    for settings, task, n_hidden, updates, learning_rate, options in RUNS:
        rnn = task.network(n_hidden, seed=0, **options)
        begin = time.process_time()
        rnn.fit(
            task.batches(BATCH, steps=updates),
            optimizer=bptt.Adam(learning_rate),
            epochs=1,
            clip_norm=1.0,
            seed=0,
            progress=False,
        )
        seconds = time.process_time() - begin
        held_out = task.trials(np.random.default_rng(1), HELD_OUT)
        score = task.score(rnn.forward(held_out.x).y_hat, held_out)
        best = "" if task.best is None else f"{task.best:.3g}"
        row = (
            f"`{type(task).__name__}`",
            settings,
            n_hidden,
            updates,
            f"{seconds:.1f}",
            f"{score:.4g}",
            f"{task.chance:.3g}",
            best,
        )
        print("|", " | ".join(map(str, row)), "|", flush=True)


if __name__ == "__main__":
    main()
