"""What the file of a forecaster has to hold, so that what is read from it cannot fail later."""

from __future__ import annotations

import reprlib
from typing import Any

import numpy as np

from bptt._arrays import Array
from bptt.forecast.baselines import DRIFT, LAST, profile, seasonal
from bptt.forecast.learnt import Learnt
from bptt.forecast.linear import Linear
from bptt.forecast.model import NETWORK, TargetModel
from bptt.forecast.network import Ensemble
from bptt.forecast.recipe import Recipe

_MOST = 1_000_000
_LONGEST = 500  # characters of a message


def check(learnt: Learnt, recipe: Recipe) -> None:
    """Raise ValueError where parts of a forecaster do not go together."""
    panel = learnt.panel
    names = {
        "targets": recipe.targets,
        "past_names": [name for f in recipe.past for name in f.names],
        "future_names": [name for f in recipe.future for name in f.names]
        + [f"{feature} {wave}" for feature in recipe.calendar for wave in ("sine", "cosine")],
        "static_names": [name for f in recipe.static for name in f.names],
        "id_names": recipe.ids,
        "time_name": None if recipe.time is None else recipe.time.name,
        "frequency": recipe.frequency,
        "season": recipe.season,
    }
    for name, expected in names.items():
        _expect(f"panel.{name}", getattr(panel, name), expected)
    if not isinstance(panel.notes, list) or not all(isinstance(note, str) for note in panel.notes):
        raise ValueError("panel.notes: expected texts")
    sizes = [len(names[key]) for key in ("targets", "past_names", "future_names", "static_names")]  # type: ignore[arg-type]
    n_targets, n_past, n_future, n_static = sizes
    for one in panel.sequences:
        rows = len(one.times)
        _texts("id", list(one.id), len(recipe.ids))
        shapes = {"y": (rows, n_targets), "past": (rows, n_past), "future": (rows, n_future), "static": (n_static,)}
        for name, shape in shapes.items():
            _array(name, getattr(one, name), shape, finite=name != "y")
        _array("filled", one.filled, (rows, n_targets), "bool")
        if not (np.isfinite(one.y) & ~one.filled)[-1:].any():
            raise ValueError("y: expected sequences whose last row has a target")
        units = learnt.units.get(one.id)
        if units is None or len(units) != n_targets:
            raise ValueError(f"units: expected {n_targets} of each sequence")
    if not panel.sequences or len({one.id for one in panel.sequences}) < len(panel.sequences):
        raise ValueError("sequences: expected some, each with an id of its own")
    for unit in (unit for units in learnt.units.values() for unit in units):
        for name in ("mean", "scale", "log_mean", "log_scale", "floor"):
            _number(name, getattr(unit, name), above=None if name.endswith("mean") else 0.0)
        _bool("bounded", unit.bounded)
    for array, n in zip(learnt.input_units, (n_past, n_past, n_future, n_future), strict=True):
        _array("input_units", array, (n,))
    if not all((scale > 0).all() for scale in learnt.input_units[1::2]):
        raise ValueError("input_units: expected scales above 0")
    for model in learnt.models:
        _expect("steps", model.steps, learnt.models[0].steps)
        _model(model, n_targets - 1 + n_past, n_future, n_static)


def _model(model: TargetModel, n_inputs: int, n_future: int, n_static: int) -> None:
    size_in("steps", model.steps, 10_000)
    _integers("seasons", model.seasons, 2)
    _bool("log", model.log)
    size_in("near", model.near, _MOST, least=0)
    _number("typical", model.typical, least=0.0)
    if model.errors.shape != (0, 0):
        _array("errors", model.errors, (len(model.errors), model.steps))
    for name, linear in [*model.linear.items(), *([("ridge", model.ridge)] if model.ridge is not None else [])]:
        _linear(linear, model.steps, n_inputs, n_future, n_static)
        if name != "ridge":
            _expect("the name of a linear part", name, linear.form.name)
    if model.ensemble is not None:
        _ensemble(model.ensemble, model.steps, n_inputs, n_future, n_static)
    simple = {LAST, DRIFT, *map(seasonal, model.seasons), *map(profile, model.seasons)}
    known = {*simple, *model.linear, *([NETWORK] if model.ensemble is not None else [])}
    if not model.shares or not model.shares.keys() <= known:
        raise ValueError(f"shares: expected those of {', '.join(sorted(known))}")
    for share in model.shares.values():
        _number("shares", share, above=0.0)
    if abs(sum(model.shares.values()) - 1) > 1e-6:
        raise ValueError("shares: expected numbers whose sum is 1")


def _linear(linear: Linear, steps: int, n_inputs: int, n_future: int, n_static: int) -> None:
    form = linear.form
    _bool("log", form.log)
    _bool("inputs", form.inputs)
    size_in("difference", form.difference, _MOST, least=0)
    size_in("lags", form.lags, _MOST, least=2)
    columns = form.lags - 1 + (form.difference == 0) + (form.difference > 1 and form.difference >= form.lags)
    columns += (n_inputs + n_future + n_static) * form.inputs
    _array("B", linear.B, (columns, steps))
    _array("D", linear.D, (steps, n_future * form.inputs))
    _array("c", linear.c, (steps,))


def _ensemble(ensemble: Ensemble, steps: int, n_inputs: int, n_future: int, n_static: int) -> None:
    reading = ensemble.reading
    _linear(reading.base, steps, n_inputs, n_future, n_static)
    _integers("seasons", reading.seasons, 2)
    size_in("window", reading.window, 10_000)
    _integers("ahead", reading.ahead, 0)
    if any(j >= n_future for j in reading.ahead):
        raise ValueError(f"ahead: expected columns below {n_future}, got {reprlib.repr(reading.ahead)}")
    _array("scale", reading.scale, (steps,))
    n_in = 2 + len(reading.seasons) + n_inputs + n_future + len(reading.ahead) * steps + n_static
    if not ensemble.networks:
        raise ValueError("networks: expected some")
    for net in ensemble.networks:
        _expect("n_in", net.n_in, n_in)
    _integers("epochs", ensemble.epochs, 0)
    _expect("the number of epochs", len(ensemble.epochs), len(ensemble.networks))


def shortened(error: Exception) -> str:
    """What an error says, without the rest of a long value."""
    text = str(error)
    return text if len(text) < _LONGEST else f"{text[:_LONGEST]} ..."


def size_in(name: str, value: Any, most: int, least: int = 1) -> int:
    """The value, if it is an int from `least` to `most`."""
    if type(value) is not int or not least <= value <= most:
        raise ValueError(f"{name}: expected an int from {least} to {most:,}, got {reprlib.repr(value)}")
    return value


def _expect(name: str, value: Any, expected: Any) -> None:
    if value != expected or type(value) is not type(expected):
        raise ValueError(f"{name}: expected {reprlib.repr(expected)}, got {reprlib.repr(value)}")


def _bool(name: str, value: Any) -> None:
    if type(value) is not bool:
        raise ValueError(f"{name}: expected true or false, got {reprlib.repr(value)}")


def _number(name: str, value: Any, above: float | None = None, least: float = -np.inf) -> None:
    right = type(value) in (int, float) and abs(value) < 1e300
    if not right or value < least or (above is not None and value <= above):
        raise ValueError(f"{name}: expected a number in its range, got {reprlib.repr(value)}")


def _integers(name: str, values: Any, least: int) -> None:
    if type(values) is not list or len(values) > 10_000:
        raise ValueError(f"{name}: expected a list of ints, got {reprlib.repr(values)}")
    for value in values:
        size_in(name, value, _MOST, least)


def _texts(name: str, values: list[Any], n: int) -> None:
    if len(values) != n or not all(isinstance(value, str) for value in values):
        raise ValueError(f"{name}: expected {n} texts, got {reprlib.repr(values)}")


def _array(name: str, array: Array, shape: tuple[int, ...], dtype: str = "float64", finite: bool = True) -> None:
    if array.shape != shape or array.dtype != dtype:
        raise ValueError(f"{name}: expected {dtype} {list(shape)}, got {array.dtype} {list(array.shape)}")
    if finite and not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers")
