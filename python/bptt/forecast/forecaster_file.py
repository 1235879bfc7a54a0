"""The file of a forecaster: safetensors, with everything that is no array as JSON beside the tensors."""

from __future__ import annotations

import reprlib
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt._whole_file import read_json, texts_of, write_whole
from bptt.forecast.file_checks import shortened, size_in
from bptt.forecast.learnt import Learnt
from bptt.forecast.linear import Form, Linear
from bptt.forecast.model import TargetModel
from bptt.forecast.network import Ensemble, Reading
from bptt.forecast.panel import Panel, SequenceRows
from bptt.forecast.tracks import Units
from bptt.networks.elman import ElmanRNN

_KEY = "bptt.forecaster"  # of the JSON in the file's metadata
_SIZE = 1_000_000  # of a network, at most
_FORMAT = 2
_FORMATS = (1, 2)  # that are read: in 1, errors are in standard units


def write(path: str, learnt: Learnt, settings: dict[str, Any]) -> None:
    """Write what was learnt, and what else `read` shall give back."""
    import json

    from safetensors.numpy import save

    tensors: dict[str, Array] = {}

    def kept(array: Array) -> str:
        """The name of an array among the tensors."""
        tensors[f"{len(tensors)}"] = np.ascontiguousarray(array)
        return f"{len(tensors) - 1}"

    panel = learnt.panel
    told = {
        "format": _FORMAT,
        "settings": settings,
        "panel": {
            **{name: value for name, value in vars(panel).items() if name != "sequences"},
            "sequences": [_told_sequence(one, kept) for one in panel.sequences],
        },
        "units": [[list(id), [asdict(unit) for unit in units]] for id, units in learnt.units.items()],
        "input_units": [kept(each) for each in learnt.input_units],
        "models": [_told_model(model, kept) for model in learnt.models],
    }
    text = json.dumps(told, sort_keys=True, allow_nan=False)
    write_whole(path, save(tensors, {_KEY: text}))


def read(path: str) -> tuple[Learnt, dict[str, Any]]:
    """Read what `write` has written.

    Raises
    ------
    ValueError
        If the file is damaged, or no forecaster of this package.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    with open(path, "rb") as file:
        data = file.read()
    try:
        tensors = load(data)
        texts = texts_of(data)
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ValueError(f"{path}: expected a safetensors file: {error}") from None
    if _KEY not in texts:
        raise ValueError(f"{path}: expected a forecaster of bptt, got a file without the metadata key {_KEY!r}")
    try:
        told = read_json(texts[_KEY])
        if (version := told["format"]) not in _FORMATS:
            raise ValueError(f"expected the format 1 or 2, got {reprlib.repr(version)}")
        panel = told["panel"]
        sequences = [_sequence(each, tensors) for each in panel.pop("sequences")]
        mean, scale, future_mean, future_scale = (tensors[name] for name in told["input_units"])
        learnt = Learnt(
            Panel(sequences=sequences, **panel),
            [_model(each, tensors) for each in told["models"]],
            {tuple(id): [Units(**unit) for unit in units] for id, units in told["units"]},
            (mean, scale, future_mean, future_scale),
        )
        if not learnt.models or len(learnt.models) != len(learnt.panel.targets):
            raise ValueError(f"expected {len(learnt.panel.targets)} models, got {len(learnt.models)}")
        return learnt, dict(told["settings"])
    except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: bad configuration: {type(error).__name__}: {shortened(error)}") from None


def _told_sequence(one: SequenceRows, kept: Any) -> dict[str, Any]:
    times: dict[str, Any]
    if isinstance(one.times, pd.DatetimeIndex):
        stamps = one.times.tz_convert("UTC").tz_localize(None) if one.times.tz is not None else one.times
        zone = None if one.times.tz is None else str(one.times.tz)
        times = {"stamps": kept(stamps.as_unit("ns").asi8), "unit": one.times.unit, "zone": zone}
    else:
        times = {"rows": [int(one.times[0]), int(one.times[-1]) + 1]}
    arrays = {name: kept(getattr(one, name)) for name in ("y", "past", "future", "static", "filled")}
    return {"id": list(one.id), "times": times, **arrays}


def _sequence(told: dict[str, Any], tensors: dict[str, Array]) -> SequenceRows:
    times: pd.Index
    if "rows" in told["times"]:
        times = pd.RangeIndex(*told["times"]["rows"])
    else:
        times = pd.DatetimeIndex(tensors[told["times"]["stamps"]].view("datetime64[ns]"))
        times = times.as_unit(told["times"]["unit"])
        if told["times"]["zone"] is not None:
            times = times.tz_localize("UTC").tz_convert(told["times"]["zone"])
    arrays = {name: tensors[told[name]] for name in ("y", "past", "future", "static", "filled")}
    if len({len(times), *(len(arrays[name]) for name in ("y", "past", "future", "filled"))}) != 1:
        raise ValueError("expected as many rows of one sequence in all its arrays")
    return SequenceRows(id=tuple(told["id"]), times=times, **arrays)


def _told_linear(linear: Linear, kept: Any) -> dict[str, Any]:
    arrays = {name: kept(getattr(linear, name)) for name in ("B", "D", "c")}
    return {"form": asdict(linear.form), "penalty": linear.penalty, **arrays}


def _linear(told: dict[str, Any], tensors: dict[str, Array]) -> Linear:
    penalty = told.get("penalty")  # earlier versions did not tell it
    if penalty is not None and not (isinstance(penalty, float) and 0 < penalty < np.inf):
        raise ValueError(f"expected a penalty above 0, got {reprlib.repr(penalty)}")
    return Linear(Form(**told["form"]), tensors[told["B"]], tensors[told["D"]], tensors[told["c"]], penalty)


def _told_model(model: TargetModel, kept: Any) -> dict[str, Any]:
    ensemble = None
    if model.ensemble is not None:
        reading = model.ensemble.reading
        ensemble = {
            "base": _told_linear(reading.base, kept),
            "seasons": list(reading.seasons),
            "window": reading.window,
            "ahead": list(reading.ahead),
            "scale": kept(reading.scale),
            "epochs": list(model.ensemble.epochs),
            "n_in": model.ensemble.networks[0].n_in,
            "n_hidden": model.ensemble.networks[0].n_hidden,
            "networks": [kept(net.parameters) for net in model.ensemble.networks],
        }
    return {
        "steps": model.steps,
        "seasons": list(model.seasons),
        "shares": [[name, share] for name, share in model.shares.items()],
        "linear": [[name, _told_linear(linear, kept)] for name, linear in model.linear.items()],
        "ensemble": ensemble,
        "ridge": None if model.ridge is None else _told_linear(model.ridge, kept),
        "log": model.log,
        "errors": kept(model.errors),
        "near": model.near,
        "typical": model.typical,
    }


def _model(told: dict[str, Any], tensors: dict[str, Array]) -> TargetModel:
    steps, ensemble = told["steps"], None
    if (nets := told["ensemble"]) is not None:
        base = _linear(nets["base"], tensors)
        reading = Reading(base, nets["seasons"], nets["window"], nets["ahead"], tensors[nets["scale"]])
        networks = []
        for name in nets["networks"]:
            n_in, n_hidden = size_in("n_in", nets["n_in"], _SIZE), size_in("n_hidden", nets["n_hidden"], _SIZE)
            n = n_hidden * (n_in + n_hidden + 1) + size_in("steps", steps, _SIZE) * (n_hidden + 1)
            if tensors[name].shape != (n,) or not np.isfinite(tensors[name]).all():
                raise ValueError(f"expected {n} finite parameters of a network, got {tensors[name].size}")
            net = ElmanRNN(n_in, n_hidden, steps, output="linear", init=None)
            net.parameters[...] = tensors[name]
            networks.append(net)
        ensemble = Ensemble(reading, networks, nets["epochs"])
    model = TargetModel(
        steps,
        told["seasons"],
        dict(told["shares"]),
        {name: _linear(each, tensors) for name, each in told["linear"]},
        ensemble,
        None if told["ridge"] is None else _linear(told["ridge"], tensors),
        told["log"],
    )
    return replace(model, errors=tensors[told["errors"]], near=told.get("near", 0), typical=told.get("typical", 0.0))
