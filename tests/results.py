"""All that a network computes, by name, whatever the form that went in; and how two results are compared."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from problems import Array, Case, Form, letters, split_state, state_names

# How far a result may be from the exact one, in units of the dtype's eps, as a fraction of the array's largest
# magnitude; of outputs and of sums over sequences, of that of the terms. Rounding errors are a random walk over the
# steps, each of which forgets some of the past, so a forward pass stays near the error of one step; outputs that are
# fed back carry their error on as states do. Gradients meet the errors twice, and what comes back over hundreds of
# steps is small beside what was computed on the way. Largest seen over the cases of test_results.py and the sets
# baseline, v3 and v4: of forward results 20 with one layer, where 3500 outputs are fed back, and 54 with three, over
# 450 steps; of gradients 59, over 450 steps. In float64 this is far inside the 1e-12 that is promised.
FORWARD = 32
GRADIENTS = 96


class Tolerances(NamedTuple):
    forward: float
    gradients: float


def tolerances(dtype: str, factor: float = 1.0, layers: int = 1) -> Tolerances:
    """Each layer adds its own errors to those of what it reads."""
    eps = factor * float(np.finfo(dtype).eps)
    return Tolerances(FORWARD * layers * eps, GRADIENTS * eps)


def kind_of(rnn: Any) -> Case:
    """What a network is: a case of one step."""
    return Case(
        rnn.n_in,
        rnn.n_hidden,
        rnn.n_out,
        (1,),
        feedback=getattr(rnn, "feedback", None),
        bidirectional=getattr(rnn, "bidirectional", False),
        leak="mixed" if getattr(rnn, "leak", 1.0) != 1.0 else 1.0,
        learn_h0=getattr(rnn, "learn_h0", False),
    )


def everything(rnn: Any, arguments: dict[str, Any]) -> dict[str, Any]:
    """All that a network computes of the arguments of `loss`."""
    case = kind_of(rnn)
    of_forward = {name: value for name, value in arguments.items() if name in ("x", case.initial, "lengths", "reset")}
    if case.feedback is None:
        of_forward |= {name: arguments[name] for name in ("noise", "dropout", "seed") if name in arguments}
    more = {} if case.simple else {"all_layers": True}
    leaky = case.leak != 1.0
    run = rnn.forward(**of_forward, **more, **({"v": True} if leaky else {}))
    loss, gradients = rnn.loss_and_gradients(**arguments, wrt_x=rnn.input == "real")
    results = {
        "loss alone": rnn.loss(**arguments),
        "loss": loss,
        **letters(gradients),
        **named_state(case, case.of_each, getattr(gradients, case.of_each)),
        "x": gradients.x,
        "h": run.h,
        "o": run.o,
        "y_hat": run.y_hat,
        **named_state(case, "last", getattr(run, case.last)),
        **named_state(case, "last of the gradients", getattr(gradients, case.last)),
    }
    if not case.simple:
        results |= {f"h of layer {k}": h for k, h in enumerate(run.layers)}
    if leaky:
        results["v"] = run.v
        results |= {} if case.simple else {f"v of layer {k}": v for k, v in enumerate(run.v_layers)}
    return results


def named_state(case: Case, name: str, state: Any) -> dict[str, Any]:
    return dict(zip(state_names(case, name), split_state(case, state), strict=True))


def is_state(name: str) -> bool:
    """Whether a result has a row a sequence, whatever the readout."""
    return name.split("[")[0] in ("h0_each", "v0_each", "r0", "last", "last of the gradients")


def is_gradient(name: str) -> bool:
    """Whether a result comes from the way back."""
    return not name.startswith(("loss", "h of", "v of", "last")) and name not in ("h", "v", "o", "y_hat")


def is_of_steps(name: str, case: Case) -> bool:
    """Whether a result has a row for every step."""
    if name in ("o", "y_hat"):
        return case.readout == "all"
    return name in ("x", "h", "v") or name.startswith(("h of", "v of"))


def by_sequence(results: dict[str, Any], form: Form, case: Case) -> dict[str, Any]:
    """The same results whatever the form: of steps, a list with an array a sequence; else an array with a row each."""
    changed = dict(results)
    for name, result in results.items():
        if result is not None and is_of_steps(name, case):
            changed[name] = [*steps_by_sequence(result, form, case.lengths)]
        elif form == "single" and (is_state(name) or name in ("o", "y_hat")):
            changed[name] = result[None]
    return changed


def steps_by_sequence(result: Any, form: Form, lengths: tuple[int, ...]) -> Iterator[Array]:
    if form in ("single", "list"):
        sequences = [result] if form == "single" else result
        assert isinstance(sequences, list)
        yield from sequences
        return
    assert result.shape[:2] == (max(lengths), len(lengths))
    for i, length in enumerate(lengths):
        assert not result[length:, i].any(), "beyond a length, a result is 0"
        yield result[:length, i]


# ---- Comparison ----


def deviation(actual: Any, expected: Any, scale: float | None = None) -> float:
    """The largest difference as a fraction of `scale`, by default of the largest magnitude expected; infinite for NaN
    and where 0 is not 0."""
    if isinstance(expected, list):
        assert len(actual) == len(expected)
        shapes = [a.shape for a in actual], [e.shape for e in expected]
        actual, expected = (np.concatenate([np.ravel(part) for part in both]) for both in (actual, expected))
    else:
        shapes = np.shape(actual), np.shape(expected)
    assert shapes[0] == shapes[1]
    if np.size(expected) == 0:
        return 0.0
    difference = float(np.abs(np.asarray(actual, np.float64) - expected).max())
    scale = float(np.abs(expected).max()) if scale is None else scale
    if difference == 0.0:
        return 0.0
    return difference / scale if scale > 0.0 and math.isfinite(difference) else math.inf


def assert_close(
    actual: dict[str, Any],
    expected: dict[str, Any],
    allowed: Tolerances,
    scales: dict[str, float] | None = None,
) -> None:
    """Two results by sequence agree within these fractions of the scales, by default each array's largest magnitude."""
    assert list(actual) == list(expected)
    for name in actual:
        if expected[name] is None:
            assert actual[name] is None
            continue
        tolerance = allowed.gradients if is_gradient(name) else allowed.forward
        found = deviation(actual[name], expected[name], None if scales is None else scales[name])
        assert found <= tolerance, f"{name}: off by {found:.3g} of the largest magnitude, more than {tolerance:.3g}"


def assert_sums(found: Any, terms: Any, tolerance: float, name: str) -> None:
    """A sum in another order: what cancels in it was larger, so the error is measured by the terms, not by the sum."""
    terms = np.array(terms, np.float64)
    scale = np.abs(terms).sum(axis=0).max(initial=0.0)
    assert np.abs(found - terms.sum(axis=0)).max(initial=0.0) <= tolerance * scale, name


def assert_near(found: Array, expected: Array, tolerance: float, name: str) -> None:
    """Within a fraction of the largest magnitude expected."""
    scale = np.abs(expected).max(initial=0.0)
    assert np.abs(np.subtract(found, expected)).max(initial=0.0) <= tolerance * scale, name


def same_bits(a: Any, b: Any) -> bool:
    """Whether two results have the same shapes, dtypes and bits."""
    if isinstance(a, dict):
        return list(a) == list(b) and all(same_bits(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        alike = isinstance(b, list) if isinstance(a, list) else isinstance(b, tuple)
        return alike and len(a) == len(b) and all(map(same_bits, a, b))
    if isinstance(a, float):
        return isinstance(b, float) and a.hex() == b.hex()
    if a is None:
        return b is None
    assert isinstance(a, np.ndarray)
    assert isinstance(b, np.ndarray)
    return a.shape == b.shape and a.dtype == b.dtype and a.tobytes() == b.tobytes()


def differing(a: dict[str, Any], b: dict[str, Any]) -> list[str]:
    """The names of the results whose bits differ."""
    assert list(a) == list(b)
    return [name for name in a if not same_bits(a[name], b[name])]
