"""New sequences in the middle of a stream: against the reference, against the sequences apart, bit by bit in places."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import bptt
from bptt import ElmanRNN, JordanRNN
from conftest import assert_close, by_sequence, central_differences, check_forms, everything, same_bits
from problems import FEEDBACKS, INPUTS, OUTPUTS, READOUTS, SHAPES, Array, Case, Problem, answer, problem
from test_elman import tolerances

# The Elman network, and the output-recurrent one with either feedback, running free, under teacher forcing and mixed.
NETWORKS: list[dict[str, Any]] = [
    {"feedback": None},
    *({"feedback": feedback, "teacher_forcing": p} for feedback, p in itertools.product(FEEDBACKS, (0.0, 0.4, 1.0))),
]


def network_id(options: dict[str, Any]) -> str:
    return "elman" if options["feedback"] is None else "-".join(map(str, options.values()))


networks = pytest.mark.parametrize("options", NETWORKS, ids=network_id)


def ragged(options: dict[str, Any], input: Any = "real", output: Any = "softmax", **more: Any) -> Problem:
    return problem(Case(4, 11, 5, (9, 6, 1, 9, 2), input, output, **options, **more, reset=True))


# ---- The numbers. Those of the output-recurrent network are compared with the reference in test_jordan.py ----


def cases() -> list[Case]:
    sizes = zip(SHAPES, itertools.cycle(OUTPUTS))
    return [
        Case(*shape, input, output, readout, reset=True)
        for (shape, output), input, readout in itertools.product(sizes, INPUTS, READOUTS)
        if shape[0] > 0 or input == "real"
    ]


@pytest.mark.parametrize("case", cases(), ids=str)
def test_results_are_those_of_the_reference(case: Case, dtype: str, isa: str) -> None:
    p = problem(case)
    results = everything(p.network(dtype), p.arguments())
    assert_close(by_sequence(results, case.form, case), answer(case), **tolerances(dtype))


@networks
@pytest.mark.parametrize("output", OUTPUTS)
def test_gradients_are_central_differences(output: Any, options: dict[str, Any]) -> None:
    p = ragged(options, output=output)
    rnn, arguments = p.network("float64"), p.arguments()
    assert set(bptt.gradcheck(rnn, **arguments, tolerance=1e-8)) == set("UWbVc")  # as in test_elman.py
    _, gradients = rnn.loss_and_gradients(**arguments, wrt_x=True)
    for name in (p.case.initial, "x"):
        exact, differences = getattr(gradients, name), central_differences(rnn, arguments, name)
        assert np.abs(exact - differences).max() <= 1e-8 * np.abs(exact).max(), name


# ---- What they mean ----


def apart(p: Problem) -> tuple[list[slice], list[int]]:
    """The sequences that the flags make, as slices of those given, and the place of each among those."""
    assert p.reset is not None
    slices, places = [], []
    for i, flags in enumerate(p.reset):
        starts = [0, *(t for t in range(1, len(flags)) if flags[t])]
        slices += [slice(*ends) for ends in itertools.pairwise([*starts, len(flags)])]
        places += [i] * len(starts)
    return slices, places


def split(p: Problem) -> dict[str, Any]:
    """The arguments of `loss` that name each of these sequences, as a list."""
    assert p.reset is not None
    slices, places = apart(p)
    arguments = p.arguments("list")
    del arguments["reset"]
    for name in ("x", "y", "weight"):
        if arguments[name] is not None:
            arguments[name] = [arguments[name][i][s] for s, i in zip(slices, places, strict=True)]
    initial = np.zeros((len(slices), p.initial.shape[1])) if p.initial is not None else None
    for row, (s, i) in enumerate(zip(slices, places, strict=True)):
        if initial is not None and p.initial is not None and s.start == 0 and not p.reset[i][0]:
            initial[row] = p.initial[i]
    arguments[p.case.initial] = initial
    return arguments


def check_apart(p: Problem, dtype: str) -> None:
    """The flagged sequences have the results of those that the flags make."""
    assert p.reset is not None
    rnn, case = p.network(dtype), p.case
    together = by_sequence(everything(rnn, p.arguments()), case.form, case)
    each = everything(rnn, split(p))
    slices, places = apart(p)
    for name in ("h", "o", "y_hat"):
        for s, i, alone in zip(slices, places, each[name], strict=True):
            assert same_bits(together[name][i][s], alone), name
    rows = range(len(places))
    ends = [row for row in rows if row == rows[-1] or places[row + 1] != places[row]]
    assert same_bits(together["last"], each["last"][ends])
    if 0 < case.teacher_forcing < 1 and case.feedback is not None:
        return  # other sequences, other draws
    tolerance = tolerances(dtype)["gradients"]
    for name in ("loss", "loss alone", *"UWbVc"):  # the same terms, added up in another order
        scale = np.abs(each[name]).max(initial=0.0)
        assert np.abs(np.subtract(together[name], each[name])).max(initial=0.0) <= tolerance * scale, name
    for s, i, row in zip(slices, places, rows, strict=True):
        pairs = [] if together["x"] is None else [(together["x"][i][s], each["x"][row])]
        if s.start == 0 and p.reset[i][0]:
            assert not together[case.initial][i].any()
        elif s.start == 0:
            pairs.append((together[case.initial][i], each[case.initial][row]))
        for found, expected in pairs:
            assert np.abs(found - expected).max(initial=0.0) <= tolerance * np.abs(expected).max(initial=0.0)


@networks
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_a_reset_begins_another_sequence(
    input: Any, output: Any, options: dict[str, Any], dtype: str, isa: str
) -> None:
    check_apart(ragged(options, input, output), dtype)
    check_apart(problem(Case(3, 17, 7, (450,), input, output, **options, reset=True)), dtype)  # several windows


LARGE = [
    ((20,) * 33, (32, 96, 40)),
    (tuple(range(1, 45)), (32, 96, 40)),
    ((350,), (20, 170, 12)),  # threads share the columns of each step
    ((90, 200, 70), (9, 200, 30)),
    ((6,) * 9, (400, 370, 400)),
]


@networks
@pytest.mark.parametrize(("lengths", "sizes"), LARGE, ids=str)
def test_a_reset_begins_another_sequence_at_large_sizes(
    lengths: tuple[int, ...], sizes: tuple[int, int, int], options: dict[str, Any], dtype: str, isa: str
) -> None:
    check_apart(problem(Case(*sizes, lengths, **options, reset=True)), dtype)


@networks
@pytest.mark.parametrize("lengths", [(6,), (5,) * 9, (60,) * 9, (4, 1, 7, 3)], ids=str)
def test_no_flag_is_no_argument(lengths: tuple[int, ...], options: dict[str, Any], dtype: str, isa: str) -> None:
    p = problem(Case(3, 7, 5, lengths, **options))
    rnn, arguments = p.network(dtype), p.arguments()
    nowhere = np.zeros((max(lengths), len(lengths))[: 1 if len(lengths) == 1 else 2], bool)
    assert same_bits(everything(rnn, arguments | {"reset": nowhere}), everything(rnn, arguments))


@networks
def test_a_flag_at_every_step_makes_sequences_of_one_step(options: dict[str, Any], dtype: str, isa: str) -> None:
    for lengths in ((6,), (60,) * 9, (4, 1, 7, 3)):
        p = problem(Case(3, 7, 5, lengths, **options))
        rnn, arguments = p.network(dtype), p.arguments("list")
        everywhere = [np.ones(n, bool) for n in lengths]
        together = everything(rnn, arguments | {"reset": everywhere})
        steps: dict[str, Any] = {"lengths": None, p.case.initial: None}
        for name in ("x", "y", "weight"):
            steps[name] = np.concatenate(arguments[name])[None]
        alone = everything(rnn, arguments | steps)
        for name in ("h", "o", "y_hat"):
            assert same_bits(np.concatenate(together[name]), alone[name][0]), name
        assert not together[p.case.initial].any()
        assert not together["W"].any()
        assert not alone["W"].any()
        tolerance = tolerances(dtype)["gradients"]
        for name in ("loss", "loss alone", *"UbVc"):
            scale = np.abs(alone[name]).max()
            assert np.abs(np.subtract(together[name], alone[name])).max() <= tolerance * scale, name


@networks
def test_a_reset_forgets_even_what_is_not_a_number(options: dict[str, Any], dtype: str, isa: str) -> None:
    p = problem(Case(4, 11, 5, (6,) * 9, **options, extras=False))
    rnn, arguments = p.network(dtype), p.arguments()
    reset = np.zeros((6, 9), bool)
    reset[3, 1] = True
    arguments["x"][1, 1, 2] = np.nan
    run = rnn.forward(arguments["x"], reset=reset)
    assert np.isnan(run.h[1, 1]).all()
    assert np.isfinite(run.h[3:, 1]).all()
    assert np.isfinite(run.o[3:, 1]).all()
    # And what is before the first step
    p = problem(Case(4, 11, 5, (6,) * 9, **options))
    rnn, arguments = p.network(dtype), p.arguments()
    reset = np.zeros((6, 9), bool)
    reset[0, 1] = True
    clean = everything(rnn, arguments | {"reset": reset})
    arguments[p.case.initial] = np.where(np.arange(9)[:, None] == 1, np.nan, arguments[p.case.initial])
    assert same_bits(everything(rnn, arguments | {"reset": reset}), clean)


# ---- The same bits ----


@networks
@pytest.mark.parametrize("output", OUTPUTS)
@pytest.mark.parametrize("input", INPUTS)
def test_forms_agree(input: Any, output: Any, options: dict[str, Any], dtype: str, isa: str) -> None:
    check_forms(ragged(options, input, output), dtype, tolerances(dtype)["gradients"])


@networks
@pytest.mark.parametrize(("lengths", "sizes"), LARGE, ids=str)
@pytest.mark.usefixtures("threads")
def test_every_number_of_threads_gives_the_same_bits(
    lengths: tuple[int, ...], sizes: tuple[int, int, int], options: dict[str, Any], dtype: str
) -> None:
    p = problem(Case(*sizes, lengths, **options, reset=True))
    rnn, arguments = p.network(dtype), p.arguments()
    bptt.set_num_threads(1)
    expected = everything(rnn, arguments)
    for n in (2, 3, 8):
        bptt.set_num_threads(n)
        assert same_bits(everything(rnn, arguments), expected), n


@networks
@pytest.mark.parametrize("lengths", [(3000,), (300,) * 9, tuple(range(1, 90)), (2000, 3, 500, 1)], ids=len)
def test_a_memory_limit_changes_no_bit(lengths: tuple[int, ...], options: dict[str, Any], dtype: str) -> None:
    p = problem(Case(3, 5, 2, lengths, **options, reset=True))
    rnn, arguments = p.network(dtype), p.arguments()
    expected = rnn.loss_and_gradients(**arguments)
    limits = [(sum(lengths) + len(lengths)) * 5 * rnn.dtype.itemsize // 2]
    try:
        rnn.loss_and_gradients(**arguments, memory_limit=0)
    except ValueError as error:
        found = re.search(r"at least (\d+) bytes", str(error))
        assert found is not None
        limits.append(int(found[1]))
    for limit in limits:
        loss, gradients = rnn.loss_and_gradients(**arguments, memory_limit=max(limit, limits[-1]))
        assert same_bits(loss, expected[0])
        assert same_bits(gradients.flat, expected[1].flat)
        assert same_bits(getattr(gradients, p.case.initial), getattr(expected[1], p.case.initial))


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "batch first": lambda a: np.ascontiguousarray(a.T).T,
    "every other": lambda a: np.repeat(np.repeat(a, 2, axis=0), 2, axis=1)[::2, ::2],
    "turned round": lambda a: a[::-1, ::-1].copy()[::-1, ::-1],
    "a list of rows": lambda a: a.tolist(),
}


@networks
@pytest.mark.parametrize("layout", LAYOUTS)
def test_any_memory_layout(layout: str, options: dict[str, Any]) -> None:
    p = problem(Case(3, 7, 5, (6,) * 5, **options, reset=True))
    rnn, arguments = p.network("float32"), p.arguments()
    flags = LAYOUTS[layout](arguments["reset"])
    assert same_bits(everything(rnn, arguments | {"reset": flags}), everything(rnn, arguments))


# ---- Errors ----

X, Y = np.zeros((5, 4, 3), np.float32), np.zeros((5, 4), int)
FLAGS = np.zeros((5, 4), bool)
LIST = [X[:, 0], X[:2, 0]]


@pytest.mark.parametrize("make", [ElmanRNN, JordanRNN])
@pytest.mark.parametrize(
    ("x", "reset", "error", "message"),
    [
        (X, FLAGS.astype(int), TypeError, "reset: expected bool or what converts to it safely, got int64"),
        (X, FLAGS * 1.0, TypeError, "reset: expected bool or what converts to it safely, got float64"),
        (X, [[0] * 4] * 5, TypeError, "reset: expected bool or what converts to it safely, got int64"),
        (X, "first", TypeError, "reset: expected bool or what converts to it safely, got <U5"),
        (X, FLAGS[:4], ValueError, "reset: expected [5, 4], got (4, 4)"),
        (X, FLAGS[:, :1], ValueError, "reset: expected [5, 4], got (5, 1)"),
        (X, FLAGS[:, 0], ValueError, "reset: expected [5, 4], got (5,)"),
        (X, True, ValueError, "reset: expected [5, 4], got ()"),
        (X, FLAGS[..., None], ValueError, "reset: expected [5, 4], got (5, 4, 1)"),
        (X[:, 0], FLAGS, ValueError, "reset: expected [5], got (5, 4)"),
        (LIST, FLAGS, TypeError, "reset: expected a list, as x is a list of sequences, got ndarray"),
        (LIST, [FLAGS[:, 0]], ValueError, "reset: expected 2 sequences, as many as x has, got 1"),
        (LIST, [FLAGS[:, 0]] * 2, ValueError, "reset[1]: expected [2], got (5,)"),
        (LIST, [FLAGS[:, 0], [0, 1]], TypeError, "reset[1]: expected bool or what converts to it safely, got int64"),
    ],
)
def test_flags_that_are_none(make: Any, x: Any, reset: Any, error: type[Exception], message: str) -> None:
    rnn = make(3, 6, 2, seed=0)
    y = [Y[: len(one), 0] for one in x] if isinstance(x, list) else Y[:, 0] if x.ndim == 2 else Y
    calls: list[Callable[[], object]] = [
        lambda: rnn.forward(x, reset=reset),
        lambda: rnn.loss(x, y, reset=reset),
        lambda: rnn.loss_and_gradients(x, y, reset=reset),
    ]
    for call in calls:
        with pytest.raises(error, match=f"^{re.escape(message)}$") as raised:
            call()
        assert raised.type is error


def test_flags_are_of_steps_where_only_the_last_is_read_out() -> None:
    rnn = ElmanRNN(3, 6, 2, readout="last", seed=0)
    with pytest.raises(ValueError, match=r"^reset: expected \[5, 4\], got \(4,\)$"):
        rnn.loss(X, Y[0], reset=FLAGS[0])
    flags = FLAGS.copy()
    flags[3] = True
    assert same_bits(rnn.forward(X, reset=flags).o, rnn.forward(X[3:]).o)


def test_flags_beyond_a_length_are_not_read() -> None:
    p = ragged({"feedback": None})
    rnn = p.network("float32")
    arguments, beyond = p.arguments("padded", beyond=0.0), p.arguments("padded", beyond=1.0)
    assert not same_bits(arguments["reset"], beyond["reset"])
    assert same_bits(everything(rnn, arguments), everything(rnn, beyond))
