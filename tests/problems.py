"""Random problems for the networks, in words and in numbers; the same words are the same numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bptt import ElmanRNN, JordanRNN, reference
from kinks import clear_of_kinks

Array = NDArray[Any]
Form = Literal["single", "batch", "padded", "list"]
Activation = Literal["tanh", "relu"]

LETTERS = ("U", "W", "b", "V", "c")
MIXED = (0.25, 1.0, 0.0625, 0.71875)  # alpha of units: exact in float32


@dataclass(frozen=True)
class Case:
    """A problem in words: the same case is the same numbers."""

    n_in: int
    n_hidden: int | tuple[int, ...]
    n_out: int
    lengths: tuple[int, ...]
    input: reference.Input = "real"
    output: reference.Output = "softmax"
    readout: reference.Readout = "all"
    extras: bool = True  # h0 or r0, and weights with zeros among them
    reset: bool = False  # one step in four begins a new sequence
    feedback: reference.Feedback | None = None  # of an output-recurrent network; None: the recurrence is between h
    teacher_forcing: float = 1.0  # of an output-recurrent network
    seed: int = 2**63 + 5  # of its draws
    activation: Activation = "tanh"
    bidirectional: bool = False
    leak: float | Literal["mixed"] = 1.0  # of all units; mixed: of each unit, some of which have none
    learn_h0: bool = False  # h(0), or v(0), is a parameter
    noise: float = 0.0
    dropout: float = 0.0
    activity: float = 0.0

    @property
    def leaks(self) -> Any:
        """The network's argument `leak`."""
        if self.leak != "mixed":
            return self.leak
        each = [[MIXED[(j + layer) % len(MIXED)] for j in range(n)] for layer, n in enumerate(self.sizes)]
        return each if len(each) > 1 else each[0]

    @property
    def disturbance(self) -> dict[str, Any]:
        """The arguments of noise and dropout, of `forward` too."""
        if not (self.noise or self.dropout):
            return {}
        return {"noise": self.noise, "dropout": self.dropout, "seed": self.seed}

    @property
    def sizes(self) -> tuple[int, ...]:
        """Of the hidden layers, from bottom to top."""
        return (self.n_hidden,) if isinstance(self.n_hidden, int) else self.n_hidden

    @property
    def simple(self) -> bool:
        """One layer in one direction, whose state is one array and whose letters are the network's own."""
        return isinstance(self.n_hidden, int) and not self.bidirectional

    @property
    def initial(self) -> str:
        """What the network's arguments call what its first step sees."""
        return "v0" if self.leak != 1.0 else "h0" if self.feedback is None else "r0"

    @property
    def last(self) -> str:
        """What its results call what one more step would see."""
        return f"{self.initial[0]}_last"

    @property
    def of_each(self) -> str:
        """What gradients call that of the state before the first step, of every sequence."""
        return self.initial if self.feedback else f"{self.initial}_each"

    def network(self, dtype: str, **more: Any) -> Any:
        """The network, its parameters 0 if `more` does not say otherwise."""
        options: dict[str, Any] = {name: getattr(self, name) for name in ("input", "output", "activation")}
        options |= {"dtype": dtype, "init": None, **more}
        n_in, n_hidden, n_out = self.n_in, self.n_hidden, self.n_out
        if self.feedback is None:
            both = self.bidirectional
            options |= {"leak": self.leaks, "learn_h0": self.learn_h0}
            return ElmanRNN(n_in, n_hidden, n_out, readout=self.readout, bidirectional=both, **options)
        assert self.leak == 1.0
        assert not self.learn_h0
        assert isinstance(n_hidden, int)
        return JordanRNN(n_in, n_hidden, n_out, feedback=self.feedback, **options)

    @property
    def form(self) -> Form:
        """The form in which to pass it, where a test does not care."""
        if len(set(self.lengths)) > 1:
            return "padded"
        return "single" if len(self.lengths) == 1 else "batch"

    def __str__(self) -> str:
        sizes = f"{self.n_in}-{'+'.join(map(str, self.sizes))}-{self.n_out}"
        equal = len(set(self.lengths)) == 1
        time = f"{self.lengths[0]}x{len(self.lengths)}" if equal else "ragged" + "_".join(map(str, self.lengths[:4]))
        kind = self.readout if self.feedback is None else f"{self.feedback}-{self.teacher_forcing}"
        marks = [
            "" if self.extras else "-plain",
            "-reset" if self.reset else "",
            "" if self.activation == "tanh" else f"-{self.activation}",
            "-both" if self.bidirectional else "",
            f"-leak{self.leak}" if self.leak != 1.0 else "",
            "-learned" if self.learn_h0 else "",
            f"-noise{self.noise}" if self.noise else "",
            f"-dropout{self.dropout}" if self.dropout else "",
            f"-activity{self.activity}" if self.activity else "",
        ]
        return f"{self.input}-{self.output}-{kind}-{sizes}-{time}{''.join(marks)}"


def letters(of: Any) -> dict[str, Array]:
    """The parameters of a network, or its gradients, in their flat order, under the names that files give them."""
    learned = [name for name in ("h0", "v0") if is_learned(of, name)]
    if isinstance(getattr(of, "layers", None), Sequence) and (len(of.layers) > 1 or of.layers[0].reverse is not None):
        several = len(of.layers) > 1
        named = {}
        for k, layer in enumerate(of.layers):
            for direction, ending in ((layer, ""), (layer.reverse, "_reverse")):
                for letter in [*"UWb", *learned] if direction is not None else []:
                    number = f"{'_' if letter in learned else ''}{k + 1}" if several else ""
                    named[f"{letter}{number}{ending}"] = getattr(direction, letter)
        return named | {letter: getattr(of, letter) for letter in "Vc"}
    return {letter: getattr(of.layers[0] if letter in learned else of, letter) for letter in [*"UWb", *learned, *"Vc"]}


def is_learned(of: Any, name: str) -> bool:
    """Whether a network, or its gradients, have h0 (or v0) among the parameters."""
    layers = getattr(of, "layers", None)
    return isinstance(layers, Sequence) and getattr(layers[0], name, None) is not None


def state_names(case: Case, name: str) -> list[str]:
    """A name for each layer and direction of a state, in the order of the parameters."""
    if case.simple:
        return [name]
    both = ("", ".reverse") if case.bidirectional else ("",)
    return [f"{name}[{k}]{direction}" for k in range(len(case.sizes)) for direction in both]


def joined_state(case: Case, states: Sequence[Any]) -> Any:
    """A state as users pass it, of what each layer and direction has."""
    if case.simple:
        (state,) = states
        return state
    if not case.bidirectional:
        return list(states)
    return [tuple(states[k : k + 2]) for k in range(0, len(states), 2)]


def split_state(case: Case, state: Any) -> list[Any]:
    """What each layer and direction has, of a state as users get it."""
    if case.simple:
        return [state]
    assert isinstance(state, list)
    assert len(state) == len(case.sizes)
    if not case.bidirectional:
        return list(state)
    assert all(isinstance(pair, tuple) and len(pair) == 2 for pair in state)
    return [one for pair in state for one in pair]


@dataclass(frozen=True)
class Problem:
    """Numbers for a network and its arguments, one array a sequence; every one of them is a float32 exactly."""

    case: Case
    parameters: Array
    x: list[Array]
    y: Any  # a list with an array a sequence, or an array where the readout is the last step's
    initial: list[Array] | None  # h0 or r0: of each layer and direction, a row a sequence
    weight: Any
    reset: list[Array] | None

    def network(self, dtype: str) -> Any:
        rnn = self.case.network(dtype)
        rnn.parameters = self.parameters
        return rnn

    def inputs(self, form: Form | None = None, beyond: float = 7.0) -> dict[str, Any]:
        """The arguments of `forward`. Beyond the lengths of a padded batch lies the number `beyond`."""
        form = form or self.case.form
        initial = self.initial
        if initial is not None:
            initial = joined_state(self.case, [state[0] for state in initial] if form == "single" else initial)
        given = {
            "x": in_form(form, self.x, beyond),
            self.case.initial: initial,
            "lengths": self.case.lengths if form == "padded" else None,
            **self.case.disturbance,
        }
        return given if self.reset is None else given | {"reset": in_form(form, self.reset, beyond)}

    def arguments(self, form: Form | None = None, beyond: float = 7.0) -> dict[str, Any]:
        """The arguments of `loss`."""
        form = form or self.case.form

        def targets(values: Any) -> Any:
            if values is None:
                return None
            if self.case.readout == "all":
                return in_form(form, values, beyond)
            return values[0] if form == "single" else values

        given = {**self.inputs(form, beyond), "y": targets(self.y), "weight": targets(self.weight)}
        if self.case.activity:
            given["activity"] = self.case.activity
        if self.case.feedback is not None:
            given |= {"teacher_forcing": self.case.teacher_forcing, "seed": self.case.seed}
        return given

    def part(self, begin: int, end: int) -> Problem:
        """Some of the sequences."""
        some = slice(begin, end)
        return Problem(
            replace(self.case, lengths=self.case.lengths[some]),
            self.parameters,
            self.x[some],
            self.y[some],
            None if self.initial is None else [state[some] for state in self.initial],
            None if self.weight is None else self.weight[some],
            None if self.reset is None else self.reset[some],
        )


def in_form(form: Form, sequences: list[Array], beyond: float) -> Any:
    """One array a sequence, as the argument that a user passes."""
    if form == "list":
        return list(sequences)
    if form == "single":
        return sequences[0]
    tau = max(map(len, sequences))
    dtype = sequences[0].dtype
    fill = beyond if dtype.kind != "i" else 10**9 if math.isnan(beyond) else int(beyond)
    padded = np.full((tau, len(sequences), *sequences[0].shape[1:]), fill, dtype)
    for i, sequence in enumerate(sequences):
        padded[: len(sequence), i] = sequence
    return padded


def representable(values: Array) -> Array:
    """Rounded to float32, kept as float64: both dtypes then compute the same problem."""
    return values.astype(np.float32).astype(np.float64)


@cache
def problem(case: Case, seed: int = 0) -> Problem:
    """Random numbers for a case, the same ones every time."""
    return random_problem(case, [seed])


@cache
def smooth_problem(case: Case) -> Problem:
    """Numbers for a comparison with what is computed otherwise.

    Where a pre-activation is as near to the kink of relu as rounding, or a central difference, may carry it, a gradient
    may be that of the other side. So other numbers are taken there.
    """
    if case.activation == "tanh":
        return problem(case)
    for seed in range(200):
        if clear_of_kinks(problem(case, seed)):
            return problem(case, seed)
    raise AssertionError(f"{case}: no numbers clear of the kinks")


def random_problem(case: Case, seed: list[int]) -> Problem:
    random = np.random.default_rng([*seed, case.n_in, *case.sizes, case.n_out, *case.lengths])
    batch, tau = len(case.lengths), max(case.lengths)
    # A state forgets the faster the farther from 0 it is, and where all is forgotten gradients are 0 in float32. So
    # long sequences are driven more gently, in every layer. The spectral radius of W is 0.999. Under relu, which keeps
    # half of what it meets, W hardly mixes over long sequences: it is near the identity.
    drive = min(1.0, 10.0 / tau)
    rnn = case.network("float64", init="orthogonal", seed=random, input="real")
    parameters = letters(rnn)
    for name, values in parameters.items():
        if name[0] == "W":
            if case.activation == "relu" and tau > 30 and case.feedback is None:
                values[...] = 0.03 * values + 0.97 * np.eye(len(values))
            values *= 0.999
        elif name[:2] in ("U2", "U3"):
            values *= drive
        elif name[:2] in ("h0", "v0"):
            values[...] = random.uniform(-0.9, 0.9, values.shape)
        elif name[0] in "bc":
            values[...] = (drive if name[0] == "b" else 1.0) * random.uniform(-0.5, 0.5, values.shape)
    token = case.input == "token"
    x = [
        random.integers(0, case.n_in, n) if token else representable(drive * random.standard_normal((n, case.n_in)))
        for n in case.lengths
    ]
    if token:
        for name, values in parameters.items():
            if name in ("U", "U_reverse", "U1", "U1_reverse"):
                values *= drive

    counts = case.lengths if case.readout == "all" else (1,) * batch
    y, weight = [], []
    for n in counts:
        w = representable(random.choice([0.0, 0.5, 1.0, 2.3], n))
        if case.output == "softmax":
            y_i: Array = np.where(random.random(n) < 0.2, -1, random.integers(0, case.n_out, n))
            y_i[0] = random.integers(0, case.n_out)
        elif case.output == "sigmoid":
            y_i = representable(random.random((n, case.n_out)))
            y_i[random.random((n, case.n_out)) < 0.3] = 1.0
        else:
            y_i = representable(2.0 * random.standard_normal((n, case.n_out)))
        w[0] = 1.5
        if case.extras:  # where the weight is 0, the target is not read
            y_i[w == 0.0] = case.n_out + 5 if case.output == "softmax" else math.nan
        y.append(y_i)
        weight.append(w)
    # Where W is made for the probabilities of classes, r0 is no longer than such a vector.
    longest = 0.9 / case.n_out if (case.output, case.feedback) == ("softmax", "y_hat") else 0.9
    widths = [values.shape[1] for name, values in parameters.items() if name[0] == "W"]
    initial = [representable(random.uniform(-longest, longest, (batch, width))) for width in widths]
    reset = [random.random(n) < 0.25 for n in case.lengths]
    if batch > 1:
        reset[0][0], reset[1][0] = True, False
    if case.readout == "last":
        y, weight = [np.concatenate(y)], [np.concatenate(weight)]
    for array in (*x, *y, *weight, *initial, *reset):
        array.flags.writeable = False  # they serve more than one test
    return Problem(
        case,
        representable(rnn.parameters),
        x,
        y if case.readout == "all" else y[0],
        initial if case.extras else None,
        (weight if case.readout == "all" else weight[0]) if case.extras else None,
        reset if case.reset else None,
    )
