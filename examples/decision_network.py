"""A network of excitatory and inhibitory neurons that decides where dots move, and what its decisions look like.

    python examples/decision_network.py [--quick] [-o decision_network.png]

Random dots move to one of two sides, more or less coherently. Leaky units with noise, whose weights follow Dale's law,
learn to tell the side (Song, Yang and Wang, 2016). Compares them with an ideal observer, who reads the same noisy input
and makes the best of it. Draws the psychometric curve, the training, the decisions as trajectories, and the weights;
needs matplotlib.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bptt
import bptt.plot
from bptt.constraints import dale, initialize, no_self_connections, signs
from bptt.tasks import PerceptualDecisionMaking
from bptt.tasks.task import Trials

DT, TAU_UNIT = 20, 100  # ms
NOISE = 0.05  # of each unit, a standard deviation
ENOUGH = 0.97  # of the ideal observer's score


def task_of(quick: bool) -> PerceptualDecisionMaking:
    return PerceptualDecisionMaking(
        dt=DT,
        fixation=100,
        stimulus=400 if quick else 1000,
        decision=100,
        coherences=(0, 6.4, 12.8, 25.6, 51.2) if quick else (0, 3.2, 6.4, 12.8, 25.6, 51.2),
    )


def trained(task: PerceptualDecisionMaking, held_out: Trials) -> tuple[bptt.ElmanRNN, NDArray[Any]]:
    """A network, trained until it is nearly as good as an ideal observer, and its score after every 50 updates."""
    rnn = task.network(64, activation="relu", leak=DT / TAU_UNIT, seed=0)
    rnn.constraints = [dale(excitatory=0.8), no_self_connections(), signs("U", 1)]
    initialize(rnn, spectral_radius=1.0, seed=0)

    scores: list[float] = []

    def is_good(history: bptt.History) -> bool:
        scores.append(task.score(rnn.forward(held_out.x, noise=NOISE, seed=1).y_hat, held_out))
        assert task.best is not None
        return scores[-1] > ENOUGH * task.best

    rnn.fit(
        task.batches(64, steps=50),
        optimizer=bptt.SGD(0.05, momentum=0.9),
        epochs=40,
        clip_norm=1.0,
        noise=NOISE,
        callbacks=[is_good],  # which ends the training
        seed=0,
        progress=False,
    )
    return rnn, np.array(scores)


# ---- What it decides ----


def ideal_share(task: PerceptualDecisionMaking, signed: float) -> float:
    """How often an ideal observer chooses side 1 at a coherence, which is negative for side 2."""
    right = replace(task, coherences=(abs(signed),)).best
    return right if signed >= 0 else 1 - right


def signed_coherences(trials: Trials) -> NDArray[Any]:
    conditions = trials.conditions
    return np.where(conditions["choice"] == 1, 1, -1) * conditions["coherence"]


def psychometric(choice: NDArray[Any], trials: Trials) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """The signed coherences, the share of choices of side 1 at each, and its standard error."""
    signed = signed_coherences(trials)
    coherences = np.unique(signed)
    share = np.array([(choice[signed == c] == 1).mean() for c in coherences])
    count = np.array([(signed == c).sum() for c in coherences])
    return coherences, share, np.sqrt(share * (1 - share) / count)


# ---- The picture ----


def picture(rnn: bptt.ElmanRNN, task: PerceptualDecisionMaking, trials: Trials, scores: NDArray[Any]) -> Any:
    """Return a figure of four parts."""
    from matplotlib import pyplot

    run = rnn.forward(trials.x, noise=NOISE, seed=1)
    figure, axes = pyplot.subplots(2, 2, figsize=(9.5, 7.6), layout="constrained")

    ax = axes[0, 0]
    coherences, share, error = psychometric(task.choice(run.y_hat, trials), trials)
    fine = np.linspace(coherences[0], coherences[-1], 301)
    ideal = [100 * ideal_share(task, float(c)) for c in fine]
    ax.plot(fine, ideal, "--", color="#D55E00", label="ideal observer")
    ax.errorbar(coherences, 100 * share, 100 * error, fmt="o", markersize=4, color="#0072B2", label="network")
    ax.set(title="Psychometric curve", xlabel="coherence (%), negative for side 2", ylabel="choices of side 1 (%)")
    ax.legend(loc="upper left")

    ax = axes[0, 1]
    ax.plot(50 * np.arange(1, len(scores) + 1), 100 * scores, color="#0072B2", label="network")
    ax.axhline(100 * task.best, linestyle="--", color="#D55E00", label="ideal observer")
    ax.axhline(100 * task.chance, linestyle=":", color="#777777", label="chance")
    ax.set(title="Training", xlabel="update", ylabel="right choices (%)")
    ax.set_ylim(0, 100)
    ax.legend(loc="lower right")

    signed = signed_coherences(trials)
    first, last = trials.epochs["stimulus"][0]
    means = np.stack([run.h[first:last, signed == c].mean(axis=1) for c in coherences], axis=1)
    means -= means.mean(axis=1, keepdims=True)  # what all trials have in common tells nothing of the side
    bptt.plot.trajectories(means, axes[1, 0], groups=coherences, group_label="coherence (%), negative for side 2")
    axes[1, 0].legend(loc="best", frameon=False)
    axes[1, 0].set_title("Mean states while the dots move,\nminus those of all trials")

    excitatory = rnn.constraints.excitatory
    prefers = rnn.V[1] - rnn.V[2]  # side 1 before side 2, in each of the two groups
    order = np.lexsort((-prefers, ~excitatory))
    bptt.plot.weights(rnn.W[np.ix_(order, order)], axes[1, 1])
    border = excitatory.sum() - 0.5
    axes[1, 1].axvline(border, color="black", linewidth=0.8)
    axes[1, 1].axhline(border, color="black", linewidth=0.8)
    axes[1, 1].set(title="Weights $W$, sorted", xlabel="from unit (excitatory | inhibitory)", ylabel="to unit")
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds: trials of less than half the time")
    parser.add_argument("-o", metavar="FILE", default="decision_network.png", help="where the picture goes")
    options = parser.parse_args()

    task = task_of(options.quick)
    trials = task.trials(np.random.default_rng(1), 3000)
    rnn, scores = trained(task, trials)
    print(f"{50 * len(scores)} updates; right choices: {scores[-1]:.3f}, of an ideal observer {task.best:.3f}\n")

    choice = task.choice(rnn.forward(trials.x, noise=NOISE, seed=1).y_hat, trials)
    is_right = choice == trials.conditions["choice"]
    print(f"{'coherence':>9}  {'network':>7}  {'ideal observer':>14}")
    for coherence in task.coherences:
        share = is_right[trials.conditions["coherence"] == coherence].mean()
        print(f"{coherence:7} %  {share:7.3f}  {ideal_share(task, coherence):14.3f}")

    print(f"\n{'units':>10}  {'number':>6}  {'least weight':>12}  {'largest weight':>14}")
    for name, which in (("excitatory", rnn.constraints.excitatory), ("inhibitory", ~rnn.constraints.excitatory)):
        W = rnn.W[:, which]
        print(f"{name:>10}  {which.sum():6}  {W.min():12.3f}  {W.max():14.3f}")

    picture(rnn, task, trials, scores).savefig(options.o, dpi=120)
    print(f"\n{options.o}")


if __name__ == "__main__":
    main()
