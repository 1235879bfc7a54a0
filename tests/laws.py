"""What holds of every network: each law is checked here once, and the test modules choose the cases."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import bptt
from problems import Array, Case, Form, Problem, joined_state, letters, split_state, state_names
from results import (
    assert_near,
    assert_sums,
    by_sequence,
    differing,
    everything,
    is_gradient,
    is_state,
    named_state,
    same_bits,
    tolerances,
)


def draws(case: Case) -> bool:
    """Whether noise, dropout or forced steps are drawn, which depends on a sequence's place in the batch."""
    return bool(case.disturbance) or (case.feedback is not None and 0 < case.teacher_forcing < 1)


# ---- Forms ----


def check_forms(p: Problem, dtype: str, ends: Sequence[int] | None = None) -> None:
    """A list, a padded batch, a batch, and its parts: equal bits, save where sums have another order.

    The parts are single sequences or, where `ends` tells how many sequences there are up to the end of each, groups.
    """
    case, rnn, tolerance = p.case, p.network(dtype), tolerances(dtype).gradients
    together = by_sequence(everything(rnn, p.arguments("list")), "list", case)
    forms: list[Form] = ["padded"] if len(set(case.lengths)) > 1 else ["padded", "batch"]
    for form in forms:
        assert differing(by_sequence(everything(rnn, p.arguments(form)), form, case), together) == [], form

    places = [*itertools.pairwise([0, *(ends or range(1, len(case.lengths) + 1))])]
    results = []
    for k, (begin, end) in enumerate(places):
        part = p.part(begin, end)
        results.append(by_sequence(everything(rnn, part.arguments()), part.case.form, part.case))
        for form in ("batch", "list", "padded") if end == begin + 1 and k < 2 else ():
            assert differing(by_sequence(everything(rnn, part.arguments(form)), form, part.case), results[k]) == [], (
                form
            )
    for name, found in together.items():
        if name.startswith("loss") or is_gradient(name) or name.startswith("last of the gradients"):
            continue
        for (begin, end), of_part in zip(places, results, strict=True):
            assert all(map(same_bits, of_part[name], found[begin:end])), name
    if draws(case):
        return
    for name, found in together.items():
        if name == "loss" or (is_gradient(name) and not is_state(name) and name != "x"):
            assert_sums(found, [of_part[name] for of_part in results], tolerance, name)
        elif is_gradient(name) and found is not None:
            for (begin, end), of_part in zip(places, results, strict=True):
                for expected, one in zip(of_part[name], found[begin:end], strict=True):
                    assert_near(one, expected, tolerance, name)


# ---- Sequences in the middle of a stream ----


def apart(p: Problem) -> tuple[list[slice], list[int]]:
    """The sequences that the flags make, as slices of those given, and the place of each among those."""
    assert p.reset is not None
    slices, places = [], []
    for i, flags in enumerate(p.reset):
        starts = [0, *(t for t in range(1, len(flags)) if flags[t])]
        slices += [slice(*ends) for ends in itertools.pairwise([*starts, len(flags)])]
        places += [i] * len(starts)
    return slices, places


def enters(p: Problem, part: slice, i: int, reverse: bool) -> bool:
    """Whether the initial state of sequence i enters at this part of it: at its first step, or at its last."""
    assert p.reset is not None
    return part.stop == p.case.lengths[i] if reverse else part.start == 0 and not p.reset[i][0]


def split(p: Problem) -> dict[str, Any]:
    """The arguments of `loss` that name each of these sequences, as a list."""
    slices, places = apart(p)
    arguments = p.arguments("list")
    del arguments["reset"]
    for name in ("x", "y", "weight"):
        if arguments[name] is not None:
            arguments[name] = [arguments[name][i][s] for s, i in zip(slices, places, strict=True)]
    if p.initial is not None:
        states = []
        for name, state in zip(state_names(p.case, p.case.initial), p.initial, strict=True):
            rows = np.zeros((len(slices), state.shape[1])) + learned_state(p, name)
            for row, (s, i) in enumerate(zip(slices, places, strict=True)):
                if enters(p, s, i, name.endswith("reverse")):
                    rows[row] = state[i]
            states.append(rows)
        arguments[p.case.initial] = joined_state(p.case, states)
    return arguments


def learned_state(p: Problem, name: str) -> Any:
    """What a sequence begins with where none is given, of a layer and direction of a state: as learned, else 0."""
    if not p.case.learn_h0:
        return 0.0
    rnn = p.network("float64")
    of_state = zip(state_names(p.case, p.case.initial), names_of_learned(rnn), strict=True)
    return letters(rnn)[dict(of_state)[name]]


def names_of_learned(rnn: Any) -> list[str]:
    """The names of the states that are learned, in the order of the parameters."""
    return [name for name in letters(rnn) if name[:2] in ("h0", "v0")]


def check_apart(p: Problem, dtype: str) -> None:
    """The flagged sequences have the results of those that the flags make."""
    assert p.reset is not None
    rnn, case, tolerance = p.network(dtype), p.case, tolerances(dtype).gradients
    together = by_sequence(everything(rnn, p.arguments()), case.form, case)
    each = everything(rnn, split(p))
    slices, places = apart(p)
    for name in [name for name in together if name in ("h", "o", "y_hat") or name.startswith("h of")]:
        for s, i, alone in zip(slices, places, each[name], strict=True):
            assert same_bits(together[name][i][s], alone), name
    for name in state_names(case, "last"):  # of the reverse direction, the last step is the first
        reverse = name.endswith("reverse")
        ends = [row for row, (s, i) in enumerate(zip(slices, places, strict=True)) if s.start == 0]
        if not reverse:
            ends = [row - 1 for row in [*ends[1:], len(slices)]]
        assert same_bits(together[name], each[name][ends]), name
    if draws(case):
        return  # other sequences, other draws
    given = names_of_learned(rnn) if p.initial is not None else []
    for name in ("loss", "loss alone", *letters(rnn)):  # the same terms, added up in another order
        if name not in given:
            assert_near(together[name], each[name], tolerance, name)
    for name, of_each in zip(given, state_names(case, case.of_each) if given else [], strict=True):
        own = [not enters(p, s, i, of_each.endswith("reverse")) for s, i in zip(slices, places, strict=True)]
        assert_sums(together[name], each[of_each][own], tolerance, name)  # which were given what is learned
    for row, (s, i) in enumerate(zip(slices, places, strict=True)):
        if together["x"] is not None:
            assert_near(together["x"][i][s], each["x"][row], tolerance, "x")
        for name in state_names(case, case.of_each):
            reverse = name.endswith("reverse")
            if enters(p, s, i, reverse):
                assert_near(together[name][i], each[name][row], tolerance, name)
            elif s.start == 0 and not reverse:
                assert not together[name][i].any(), name


# ---- Windows of a stream ----


def check_carried(p: Problem, dtype: str, ends: Sequence[int]) -> None:
    """Windows, each begun with the state that the one before it left, are one pass: outputs and states, bit by bit."""
    case, rnn, arguments = p.case, p.network(dtype), p.inputs()
    more = {} if case.simple else {"all_layers": True}
    whole = rnn.forward(**arguments, **more)
    state, first = arguments[case.initial], arguments["x"]
    for begin, end in itertools.pairwise([0, *ends]):
        window = slice(begin, end)
        run = rnn.forward(first[window], **{case.initial: state}, **more)
        for name in ("h", "o", "y_hat"):
            assert same_bits(getattr(run, name), getattr(whole, name)[window]), (name, begin)
        if not case.simple:
            assert same_bits([*run.layers], [h[window] for h in whole.layers]), begin
        state = getattr(run, case.last)
    assert same_bits(state, getattr(whole, case.last))


# ---- Threads and memory: no bit depends on them ----


def check_threads(p: Problem, dtype: str, repeat: int = 2) -> None:
    rnn, arguments = p.network(dtype), p.arguments()
    bptt.set_num_threads(1)
    expected = everything(rnn, arguments)
    for n in (2, 3, 8):
        bptt.set_num_threads(n)
        assert not differing(everything(rnn, arguments), expected), n
        for _ in range(repeat):  # two threads that write the same place meet there now and then only
            loss, gradients = rnn.loss_and_gradients(**arguments)
            assert same_bits(loss, expected["loss"]), n
            for name, values in letters(gradients).items():
                assert same_bits(values, expected[name]), (n, name)


def least_memory(rnn: Any, arguments: dict[str, Any]) -> int:
    """The least `memory_limit`, as the error tells it; one byte less is refused."""
    with pytest.raises(ValueError, match=r"^memory_limit: expected at least ") as raised:
        rnn.loss_and_gradients(**arguments, memory_limit=0)
    message = (
        r"memory_limit: expected at least (\d+) bytes for these sequences(, as two directions keep all states)?, got 0"
    )
    found = re.fullmatch(message, str(raised.value))
    assert found is not None
    least = int(found[1])
    with pytest.raises(ValueError, match=rf"^memory_limit: expected at least {least} bytes .*, got {least - 1}$"):
        rnn.loss_and_gradients(**arguments, memory_limit=least - 1)
    return least


def all_states(p: Problem, dtype: str) -> int:
    """The bytes of all hidden states, those before the first step included."""
    case = p.case
    directions = 2 if case.bidirectional else 1
    return (sum(case.lengths) + len(case.lengths)) * sum(case.sizes) * directions * np.dtype(dtype).itemsize


def check_memory_limit(p: Problem, dtype: str, limits: Sequence[int]) -> None:
    """Whatever is kept and whatever is computed twice."""
    case, rnn, arguments = p.case, p.network(dtype), p.arguments()

    def results(limit: int | None) -> dict[str, Any]:
        loss, gradients = rnn.loss_and_gradients(**arguments, wrt_x=case.input == "real", memory_limit=limit)
        return {
            "loss": loss,
            **letters(gradients),
            "x": gradients.x,
            **named_state(case, case.of_each, getattr(gradients, case.of_each)),
            **named_state(case, "last", getattr(gradients, case.last)),
        }

    expected = results(None)
    for limit in limits:
        assert not differing(results(limit), expected), limit


# ---- Derivatives ----


def check_central_differences(p: Problem, names: Sequence[str]) -> None:
    """The exact gradients of arguments of the loss are central differences of it, in float64."""
    case, rnn, arguments = p.case, p.network("float64"), p.arguments()
    _, gradients = rnn.loss_and_gradients(**arguments, wrt_x="x" in names)
    for name in names:
        state = name == case.initial

        def loss(values: list[Array], name: str = name, state: bool = state) -> float:
            value = joined_state(case, values) if state else values[0]
            return float(rnn.loss(**{**arguments, name: value}))

        exact = split_state(case, getattr(gradients, case.of_each)) if state else [getattr(gradients, name)]
        moved = [np.array(a) for a in (split_state(case, arguments[name]) if state else [arguments[name]])]
        for k, values in enumerate(moved):
            differences = np.empty_like(values)
            for place in np.ndindex(*values.shape):
                middle = values[place]
                values[place] = middle + 1e-5
                above = loss(moved)
                values[place] = middle - 1e-5
                differences[place] = (above - loss(moved)) / 2e-5
                values[place] = middle
            assert exact[k].any() or case.activation == "relu", name  # whose units may all be off
            # Off by step^2 of the third derivative and by eps |L| / step, near 1e-10 unless the loss is large, however
            # small the gradient.
            rounding = float(np.finfo(np.float64).eps) * loss(moved) / 1e-5
            allowed = max(1e-8 * max(0.1, float(np.abs(differences).max())), rounding)
            assert np.abs(exact[k] - differences).max() <= allowed, name
