"""Networks, parameters, files, schedules, threads and `gradcheck`, with arguments of all kinds, right and wrong."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from hypothesis import strategies as st

import bptt
import rules
from bptt import ElmanRNN, JordanRNN, schedules
from core import DTYPES
from dressing import ODD, dressed, odd, snapshot, spoilt
from exploring import SEEDS, Shown, explore, refused, rounds
from networks import case as draw_case
from problems import random_problem
from results import same_bits
from rules import Types, WrongError

FOLDER = tempfile.TemporaryDirectory()
Wrong = dict[str, Types]


@dataclass(repr=False)
class Deed(Shown):
    """Something to do with given arguments, those of them that are wrong, and what has to be true when it is done."""

    what: str
    call: Callable[[], Any]
    wrong: Wrong
    arguments: Any
    holds: Callable[[Any], bool] = lambda result: True
    unchanged: Callable[[], Any] = lambda: None  # where an argument is wrong


def told(wrong: Wrong, name: str, tell: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    try:
        return tell(*arguments, **more)
    except WrongError as error:
        wrong[name] = error.types
        return None


def one_of(value: Any, *allowed: Any) -> None:
    if not isinstance(value, str) or value not in allowed:
        raise WrongError(ValueError)


# ---- Networks ----


def sizes(value: Any) -> None:
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        rules.integer(value, 1)
        return
    if not isinstance(value, list | tuple | range) and not (isinstance(value, np.ndarray) and value.ndim == 1):
        raise WrongError(TypeError)
    if len(value) == 0:
        raise WrongError(ValueError)
    for one in value:
        rules.integer(one, 1)


def dtype_of(value: Any) -> None:
    if value is None or (isinstance(value, str) and value in ("", "a")):  # for NumPy None is float64, and "a" a text
        raise WrongError(ValueError)
    try:
        name = np.dtype(value).name
    except (TypeError, ValueError, SyntaxError):
        raise WrongError(ValueError) from None
    one_of(name, "float32", "float64")


def construction(draw: Any, by: Random) -> Deed:
    kind = by.choice([ElmanRNN, JordanRNN])
    n = [1, 2, 5, np.int8(3)]
    several = [1, 4, (3, 2), [2, 2, 2], np.array([2, 3]), range(1, 3), (np.int64(2),)]
    right: dict[str, Any] = {
        "n_in": n,
        "n_hidden": n if kind is JordanRNN else several,
        "n_out": n,
        "input": ["real", "token"],
        "output": ["softmax", "sigmoid", "linear"],
        "activation": ["tanh", "relu"],
        "dtype": ["float32", "float64", np.float32, float, "f4", ">f8", np.dtype("f8"), "single"],
        "seed": [None, 0, 2**70, np.int64(4), np.random.default_rng(0)],
        "init": ["orthogonal", "uniform", None],
    }
    if kind is ElmanRNN:
        right |= {"readout": ["all", "last"], "bidirectional": [True, False, np.True_]}
    else:
        right["feedback"] = ["y_hat", "o"]
    spoil = [by.choice(list(right)) for _ in range(by.choice([0, 1, 1, 2]))]
    needed = ("n_in", "n_hidden", "n_out")
    given = {
        name: odd(by) if name in spoil else by.choice(values)
        for name, values in right.items()
        if name in (*needed, *spoil) or by.random() < 0.5
    }
    for name in needed:  # what is right, but would take all memory, is another test's
        if isinstance(given[name], int | np.integer) and given[name] >= 1000:
            given[name] = max(int(given[name]), 2**31)
    wrong: Wrong = {}
    told(
        wrong,
        "n_in",
        rules.integer,
        given["n_in"],
        1 if isinstance(given.get("input"), str) and given["input"] == "token" else 0,
    )
    told(wrong, "n_hidden", sizes if kind is ElmanRNN else lambda value: rules.integer(value, 1), given["n_hidden"])
    told(wrong, "n_out", rules.integer, given["n_out"], 1)
    told(wrong, "input", one_of, given.get("input", "real"), "real", "token")
    told(wrong, "output", one_of, given.get("output", "linear"), "softmax", "sigmoid", "linear")
    told(wrong, "activation", one_of, given.get("activation", "tanh"), "tanh", "relu")
    told(wrong, "readout", one_of, given.get("readout", "all"), "all", "last")
    told(wrong, "feedback", one_of, given.get("feedback", "o"), "y_hat", "o")
    told(wrong, "bidirectional", rules.truth, given.get("bidirectional", False))
    told(wrong, "dtype", dtype_of, given.get("dtype", "float32"))
    inits = ("orthogonal", "uniform", *(("identity",) if kind is ElmanRNN else ()))
    if given.get("init") is not None:
        told(wrong, "init", one_of, given["init"], *inits)
    if given.get("init", "orthogonal") is not None:
        told(wrong, "seed", rules.seed, given.get("seed"))

    def holds(rnn: Any) -> bool:
        again = type(rnn)(**rnn.configuration(), init=None)
        numbers = bool(np.isfinite(rnn.parameters).all())
        return numbers and again.configuration() == rnn.configuration() and eval(repr(rnn)).n_in == rnn.n_in

    return Deed("a network", lambda: kind(**given), wrong, list(given.values()), holds)


# ---- Parameters ----


def assignment(draw: Any, by: Random) -> Deed:
    p = random_problem(draw_case(draw), [by.randint(0, 1000)])
    rnn = p.network(by.choice(DTYPES))
    places = {"parameters": (rnn, "parameters")}
    for k, layer in enumerate(rnn.layers):
        for direction in (layer, layer.reverse):
            places |= {
                f"{letter}{k}{direction is layer}": (direction, letter) for letter in "UWb" if direction is not None
            }
    places |= {letter: (rnn, letter) for letter in ("V", "c")}
    of, name = places[by.choice(sorted(places))]
    shape = getattr(of, name).shape
    values = np.random.default_rng(0).standard_normal(shape)
    how = by.randint(0, 3)
    if how == 0:
        value = spoilt(by, values, "f")
    elif how == 1 and values.size:
        value = np.flip(getattr(of, name))  # of the same memory
        values = value.copy()
    else:
        value = dressed(by, values, "f")
    wrong: Wrong = {}
    meaning = told(wrong, name, rules.shaped, value, rnn.dtype, shape)
    before = getattr(of, name).copy()
    own = how == 1 and values.size
    return Deed(
        "an assignment",
        lambda: setattr(of, name, value),
        wrong,
        None if own else value,
        lambda result: same_bits(getattr(of, name), values if own else np.array(meaning)),
        lambda: same_bits(getattr(of, name), before) or "changed",
    )


# ---- Files ----

METADATA = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=5)
    | st.integers(0, len(ODD) - 1).map(lambda i: ODD[i]()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


def saving(draw: Any, by: Random) -> Deed:
    p = random_problem(draw_case(draw), [0])
    rnn = p.network(by.choice(DTYPES))
    rnn.metadata = draw(st.dictionaries(st.text(max_size=3), METADATA, max_size=2) if by.randrange(4) else METADATA)
    path: Any = Path(FOLDER.name) / "model"
    path = by.choice([path, path, str(path), bytes(path), f"{path}\0", f"{path}\ud800x", odd])
    path = odd(by) if path is odd else path
    if isinstance(path, str | bytes) and len(path) < 10:
        path = FOLDER.name  # a folder, not the working folder's files
    wrong: Wrong = {}
    if not isinstance(path, str | bytes | Path):
        wrong["path"] = (TypeError,)
    elif "\0" in str(path) or "\ud800" in str(path):
        wrong["path"] = (ValueError,)
    try:
        text = json.dumps(rnn.metadata, allow_nan=False)
        is_same = isinstance(rnn.metadata, dict) and json.loads(text) == rnn.metadata
    except (TypeError, ValueError, RecursionError):
        is_same = False
    if not is_same:
        wrong["metadata"] = (TypeError, ValueError)

    def save() -> Any:
        try:
            rnn.save(path)
        except OSError:
            return None if path == FOLDER.name else "an error of the system"
        return bptt.load(path)

    def holds(again: Any) -> bool:
        return again is None or (
            same_bits(again.parameters, rnn.parameters)
            and again.metadata == rnn.metadata
            and again.configuration() == rnn.configuration()
        )

    return Deed("a file", save, wrong, None, holds)


def loading(draw: Any, by: Random) -> Deed:
    path = odd(by)
    wrong: Wrong = {} if isinstance(path, str | bytes) else {"path": (TypeError,)}
    if isinstance(path, str) and by.random() < 0.5:
        path, wrong = path + "\0", {"path": (ValueError,)}

    def load() -> Any:
        try:
            return bptt.load(path)
        except OSError:
            return None

    return Deed("no file", load, wrong, None, lambda result: result is None)


# ---- What is small ----


def schedule(draw: Any, by: Random) -> Deed:
    names: dict[str, dict[str, tuple[float, float | None]]] = {
        "Step": {"every": (1, None), "gamma": (0, 1)},
        "Cosine": {"updates": (1, None), "final": (0, 1)},
        "Warmup": {"updates": (0, None)},
        "Linear": {"updates": (1, None), "start": (0, 1e308), "end": (0, 1e308)},
        "InverseSigmoid": {"k": (1, 1e308)},
    }
    kind = by.choice(sorted(names))
    values = [1, 0, 0.5, 1.0, 3, np.float32(0.25), np.int16(7), 1e300]
    given = {name: odd(by) if by.random() < 0.3 else by.choice(values) for name in names[kind]}
    wrong: Wrong = {}
    for name, (least, most) in names[kind].items():
        if most is None:
            told(wrong, name, rules.integer, given[name], least)
        else:
            more = {"least_too": name != "gamma"}
            told(wrong, name, rules.real, given[name], least, np.finfo(float).max if most > 1 else most, **more)

    def holds(made: Any) -> bool:
        return (
            all(0 <= made(i) < float("inf") for i in (0, 1, 2, 10, 10**6))
            and eval(repr(made), vars(schedules) | {"np": np}) == made
        )

    return Deed(kind, lambda: getattr(schedules, kind)(**given), wrong, None, holds)


def threads(draw: Any, by: Random) -> Deed:
    n = by.choice([1, 2, 3, np.int8(2)]) if by.random() < 0.3 else odd(by)
    n = 2 if isinstance(n, int | np.integer) and not isinstance(n, bool) and 3 < n <= 1024 else n
    wrong: Wrong = {}
    told(wrong, "n", rules.integer, n, 1, 1024)
    before = bptt.get_num_threads()

    def call() -> None:
        try:
            bptt.set_num_threads(n)
            assert bptt.get_num_threads() == n
        finally:
            bptt.set_num_threads(before)

    return Deed("threads", call, wrong, None)


def derivatives(draw: Any, by: Random) -> Deed:
    case = draw_case(draw)
    p = random_problem(case, [by.randint(0, 1000)])
    rnn = p.network(by.choice(DTYPES))
    given = p.arguments()
    given.pop("seed", None)
    spoil = by.choice([None, None, "step", "tolerance", "most", "seed", "teacher_forcing", "rnn", "r0", "h0", "y"])
    given |= {"most": 4}
    if spoil is not None:
        given[spoil] = odd(by)
    if spoil == "most" and isinstance(given["most"], int) and given["most"] > 4:
        given["most"] = 4
    wrong: Wrong = {}
    if spoil == "rnn":
        wrong["rnn"] = (TypeError,)
    if spoil in ("step", "tolerance"):
        told(wrong, spoil, rules.real, given[spoil], 0, np.finfo(float).max, least_too=spoil == "tolerance")
    told(wrong, "most", rules.integer, given["most"], 0)
    if spoil == "seed":
        told(wrong, "seed", rules.integer, given["seed"], 0, 2**64 - 1)
    if case.feedback is None and given.get("teacher_forcing") is not None:
        wrong["teacher_forcing"] = (TypeError,)
    elif given.get("teacher_forcing") is not None:
        told(wrong, "teacher_forcing", rules.real, given["teacher_forcing"], 0, 1)
    other = "r0" if case.feedback is None else "h0"
    if given.get(other) is not None:
        wrong[other] = (TypeError,)
    if case.initial == "v0" and given.get("h0") is not None:
        wrong["h0"] = (ValueError,)
    any_result = spoil in ("step", "tolerance", "y", case.initial) or case.activation == "relu"

    def call() -> Any:
        try:
            return bptt.gradcheck(**{"rnn": rnn, **given})
        except AssertionError:
            if not any_result:
                raise
        except (TypeError, ValueError) as error:  # what the loss refuses, and relu's kinks
            if (
                not any_result
                or wrong
                or not str(error).startswith(("y: ", f"{case.initial}: ", f"{case.initial}[", "step: ", "y["))
            ):
                raise

    return Deed("gradcheck", call, wrong, list(given.values()))


DEEDS = [
    construction,
    construction,
    construction,
    assignment,
    assignment,
    saving,
    loading,
    schedule,
    threads,
    derivatives,
]


@st.composite
def deeds(draw: Any) -> Deed:
    by = Random(draw(SEEDS))
    made: Deed = by.choice(DEEDS)(draw, by)
    return made


def check(deed: Deed) -> str:
    before, state = snapshot(deed.arguments), deed.unchanged()
    if deed.wrong:
        refused(deed.call, deed.wrong)
        assert deed.unchanged() == state
    else:
        result = deed.call()
        assert deed.holds(result), (deed.what, result)
    assert snapshot(deed.arguments) == before, "no input changes"
    return "refused" if deed.wrong else "valid"


@rounds(0.2)
def test_what_is_right_is_taken_and_what_is_wrong_refused(number: int) -> None:
    explore(deeds(), check, number, short=150)
