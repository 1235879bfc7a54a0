"""New sequences in the middle of a stream: what a flag means, bit by bit.

That results with flags are those of the reference, that forms agree, and that threads and memory change no bit is in
the modules of those laws, where flags are one option among others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bptt import ElmanRNN
from cases import EVERY_STEP, INPUTS, NETWORKS, OUTPUTS, Options, cycled, make
from core import DTYPES, ISAS
from laws import check_apart, learned_state, names_of_learned
from problems import joined_state, letters, problem, split_state, state_names
from results import assert_near, everything, is_gradient, is_state, same_bits, tolerances


# The last: several windows
@cycled(
    lengths=[(9, 6, 1, 9, 2), (5,) * 9, (450,)], options=EVERY_STEP, input=INPUTS, output=OUTPUTS, extras=[True, False]
)
def test_a_reset_begins_another_sequence(
    lengths: tuple[int, ...], options: Options, input: str, output: str, extras: bool, dtype: str, isa: str
) -> None:
    p = problem(make(4, 17, 5, lengths, input=input, output=output, extras=extras, reset=True, **options))
    check_apart(p, dtype)


LARGE = {
    "batch": ((20,) * 33, (32, 96, 40)),
    "ragged": (tuple(range(1, 45)), (32, 96, 40)),
    "one row": ((350,), (20, 170, 12)),  # threads share the columns of each step
    "few rows": ((90, 200, 70), (9, 200, 30)),
    "large": ((6,) * 9, (400, 370, 400)),
}


@pytest.mark.slow
@cycled(sizes=[*LARGE], options=EVERY_STEP, dtype=DTYPES, isa=ISAS)
def test_a_reset_begins_another_sequence_at_large_sizes(sizes: str, options: Options, dtype: str, isa: str) -> None:
    lengths, shape = LARGE[sizes]
    check_apart(problem(make(*shape, lengths, reset=True, **options)), dtype)


@cycled(lengths=[(6,), (5,) * 9, (60,) * 9, (4, 1, 7, 3)], options=NETWORKS, dtype=DTYPES, isa=ISAS)
def test_no_flag_is_no_argument(lengths: tuple[int, ...], options: Options, dtype: str, isa: str) -> None:
    p = problem(make(3, 7, 5, lengths, **options))
    rnn, arguments = p.network(dtype), p.arguments()
    nowhere = np.zeros((max(lengths), len(lengths))[: 1 if len(lengths) == 1 else 2], bool)
    assert same_bits(everything(rnn, arguments | {"reset": nowhere}), everything(rnn, arguments))


@cycled(lengths=[(6,), (60,) * 9, (4, 1, 7, 3)], options=EVERY_STEP, dtype=DTYPES, isa=ISAS)
def test_a_flag_at_every_step_makes_sequences_of_one_step(
    lengths: tuple[int, ...], options: Options, dtype: str, isa: str
) -> None:
    p = problem(make(3, 7, 5, lengths, **options))
    case, rnn, arguments = p.case, p.network(dtype), p.arguments("list")
    states = split_state(case, arguments[case.initial])
    for k, name in enumerate(state_names(case, case.initial)):
        if name.endswith("reverse"):  # enters at the last step, and no flag cuts it off
            states[k] = np.zeros_like(states[k]) + learned_state(p, name)
    arguments[case.initial] = joined_state(case, states)
    everywhere = [np.ones(n, bool) for n in lengths]
    together = everything(rnn, arguments | {"reset": everywhere})
    steps: dict[str, Any] = {"lengths": None, case.initial: None}
    for name in ("x", "y", "weight"):
        steps[name] = np.concatenate(arguments[name])[None]
    alone = everything(rnn, arguments | steps)
    tolerance = tolerances(dtype).gradients
    for name in together:
        if name in ("h", "o", "y_hat") or name.startswith("h of"):
            assert same_bits(np.concatenate(together[name]), alone[name][0]), name
        elif name[0] == "W" and not case.learn_h0:
            assert not together[name].any(), name
            assert not alone[name].any(), name
        elif is_state(name) and is_gradient(name) and not name.endswith("reverse"):
            assert not together[name].any(), name
        elif name in names_of_learned(rnn) and name.endswith("reverse"):  # of which the last steps were given theirs
            k = names_of_learned(rnn).index(name)
            found = together[name] + together[state_names(case, case.of_each)[k]].sum(axis=0)
            assert_near(found, alone[name], tolerance, name)
        elif name.startswith("loss") or name in letters(rnn):
            assert_near(together[name], alone[name], tolerance, name)


@cycled(options=EVERY_STEP, dtype=DTYPES, isa=ISAS)
def test_a_reset_forgets_even_what_is_not_a_number(options: Options, dtype: str, isa: str) -> None:
    p = problem(make(4, 11, 5, (6,) * 9, extras=False, **options))
    rnn, arguments = p.network(dtype), p.arguments()
    reset = np.zeros((6, 9), bool)
    reset[3, 1] = True
    arguments["x"][1, 1, 2] = np.nan
    run = rnn.forward(arguments["x"], reset=reset)
    assert np.isnan(run.h[1, 1]).all()
    assert np.isfinite(run.h[3:, 1]).all()
    assert np.isfinite(run.o[3:, 1]).all()
    if p.case.bidirectional:  # and from the other side
        arguments["x"][1, 1, 2], arguments["x"][4, 1, 2] = 0, np.nan
        run = rnn.forward(arguments["x"], reset=reset)
        assert np.isnan(run.h[4, 1]).all()
        assert np.isfinite(run.o[:3, 1]).all()


@cycled(options=EVERY_STEP, dtype=DTYPES, isa=ISAS)
def test_a_reset_at_the_first_step_forgets_what_is_before_it(options: Options, dtype: str, isa: str) -> None:
    p = problem(make(4, 11, 5, (6,) * 9, **options))
    case, rnn, arguments = p.case, p.network(dtype), p.arguments()
    reset = np.zeros((6, 9), bool)
    reset[0, 1] = True
    clean = everything(rnn, arguments | {"reset": reset})
    states = split_state(case, arguments[case.initial])
    for k, name in enumerate(state_names(case, case.initial)):
        if not name.endswith("reverse"):  # that of the reverse direction enters at the last step
            states[k] = np.where(np.arange(9)[:, None] == 1, np.nan, states[k])
    arguments[case.initial] = joined_state(case, states)
    assert same_bits(everything(rnn, arguments | {"reset": reset}), clean)


def test_flags_are_of_steps_where_only_the_last_is_read_out() -> None:
    rnn = ElmanRNN(3, 6, 2, readout="last", seed=0)
    x, y = np.zeros((5, 4, 3), np.float32), np.zeros(4, int)
    flags = np.zeros((5, 4), bool)
    with pytest.raises(ValueError, match=r"^reset: expected \[5, 4\], got \(4,\)$"):
        rnn.loss(x, y, reset=flags[0])
    flags[3] = True
    x[...] = np.random.default_rng(0).normal(size=x.shape)
    assert same_bits(rnn.forward(x, reset=flags).o, rnn.forward(x[3:]).o)


def test_the_reverse_direction_reads_out_its_own_last_state() -> None:
    """That of the first step, whatever flags lie after it; the forward direction's is of the last."""
    p = problem(make(3, 6, 2, (7,), bidirectional=True, readout="last", extras=False))
    rnn, x = p.network("float64"), p.x[0]
    flags = np.zeros(7, bool)
    flags[[2, 5]] = True
    found = rnn.forward(x, reset=flags)
    first, last = rnn.forward(x[:2]), rnn.forward(x[5:])
    assert same_bits(found.h_last, [(last.h_last[0][0], first.h_last[0][1])])
