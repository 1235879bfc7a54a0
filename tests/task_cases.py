"""Tasks as they are by default, and with all that can be otherwise; and what their tests share."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

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
    Task,
    Trials,
)

TASKS: dict[str, Task] = {
    "perceptual": PerceptualDecisionMaking(),
    "perceptual, other": PerceptualDecisionMaking(
        dt=50, sigma=4, dim_ring=5, coherences=[20, 40], fixation=range(0, 200, 50), stimulus=(300, 500), delay=100
    ),
    "context": ContextDecisionMaking(),
    "context, other": ContextDecisionMaking(
        dt=20, sigma=3, dim_ring=3, stimulus=(400, 800), delay=0, decision=(40, 80)
    ),
    "match": DelayMatchSample(),
    "match, other": DelayMatchSample(dt=50, sigma=12, sample=(100, 200), delay=(0, 500), test=100, fixation=0),
    "go": GoNogo(),
    "go, other": GoNogo(p_go=0.8, sigma=15, stimulus=(200, 600), fixation=(0, 100)),
    "interval": ReadySetGo(),
    "interval, other": ReadySetGo(dt=20, gain=1.5, fixation=(0, 100), measure=(200, 240, 400), pulse=20),
    "flip-flop": FlipFlop(),
    "flip-flop, other": FlipFlop(n_bits=2, steps=30, p_flip=0.1, sigma=0.2),
    "copy": CopyMemory(),
    "copy, other": CopyMemory(n_symbols=3, length=2, delay=1),
    "adding": AddingProblem(),
    "adding, other": AddingProblem(steps=3),
    "reber": ReberGrammar(),
    "reber, other": ReberGrammar(embedded=False),
}
DECISIONS = [name for name, task in TASKS.items() if hasattr(task, "choice")]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def mean_score(
    task: Task, predictor: Callable[[Trials], Any], batches: int = 40, batch: int = 200
) -> tuple[float, float]:
    """The mean of the scores of batches, and five times its standard error: one mean in a million is farther off."""
    scores = []
    for i in range(batches):
        trials = task.trials(rng(i), batch)
        scores.append(task.score(predictor(trials), trials))
    return float(np.mean(scores)), 5 * float(np.std(scores, ddof=1)) / math.sqrt(batches)
