"""`Forecaster`: from a table to forecasts with intervals, and to how good they are."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from bptt._arrays import Array
from bptt._checks import a_path, number, seed_of_draws, size
from bptt.forecast.file_checks import check, shortened
from bptt.forecast.forecaster_file import read, write
from bptt.forecast.joining import applied, joined
from bptt.forecast.learnt import Learnt, history, horizon
from bptt.forecast.panel import Panel, SequenceRows
from bptt.forecast.recipe import Recipe
from bptt.forecast.scores import scored


class Forecaster:
    r"""Forecasts of one or several columns of a table, with intervals.

    Each target's forecast is a combination,

    .. math:: \hat y(t+h) = \sum_k w_k\, \hat y_k(t+h), \qquad w_k \ge 0, \quad \sum_k w_k = 1,

    of the last value, the seasonal naive forecast, the profile of a season, the drift, ridge regressions on lags (each
    for all steps ahead, in closed form: of levels, differences or seasonal differences, of y or log y), and an ensemble
    of networks. The networks (`ElmanRNN`) read the rows one by one and put out at each row what the best ridge
    regression leaves of the next `steps` rows, so that one pass trains forecasts from every row. The last rows, which
    nothing was fitted to, choose penalties, the number of updates and the shares w: with few rows, or where nothing can
    be learnt, simple forecasts get them. Then every part is fitted to all rows.

    Parameters
    ----------
    target : str or list of str, optional
        The columns to forecast; by default the numeric ones.
    steps : int, optional
        How many rows ahead it is trained for; by default a season, at most 48, or 10 without a season. Forecasts may
        go further: then they read their own.
    season : int, optional
        Rows after which things come again; by default as the dates suggest (and of hours and minutes also a week) or,
        without any, as the numbers show. 1: none.
    ensemble : int
        Networks, whose outputs are averaged. 0: none.
    hidden : int
        Hidden units of each.
    interval : float
        In (0, 1): the share of what comes that intervals shall cover.
    seed : int
        Of the networks' weights and the order of their data. The same rows and seed give the same forecasts, for any
        number of threads of this package.
    inputs, future, static : list of str, optional
        Columns that are observed beside the targets, that are known in advance, and that hold of a whole sequence.
    id : str or list of str, optional
        The columns that tell sequences apart.
    time : str, optional
        The column of dates.
    date_format, frequency, calendar, fill : optional
        As of `Recipe.learn`.

    Attributes
    ----------
    shares : dict
        Of each target, the share of each forecast in the combination.
    notes : list of str
        What was decided about the table.

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from bptt.forecast import Forecaster
    >>> frame = pd.DataFrame({"load": 10 + np.sin(np.arange(120) * np.pi / 6)})
    >>> forecaster = Forecaster("load", season=12, ensemble=0).fit(frame)
    >>> forecaster.predict(3).round(2)["load"].tolist()
    [10.0, 10.5, 10.87]
    """

    def __init__(
        self,
        target: str | list[str] | None = None,
        *,
        steps: int | None = None,
        season: int | None = None,
        ensemble: int = 5,
        hidden: int = 48,
        interval: float = 0.9,
        seed: int = 0,
        inputs: list[str] | None = None,
        future: list[str] | None = None,
        static: list[str] | None = None,
        id: str | list[str] | None = None,
        time: str | None = None,
        date_format: str | None = None,
        frequency: str | None = None,
        calendar: str | list[str] | None = None,
        fill: str | None = None,
    ) -> None:
        self.steps = None if steps is None else size("steps", steps, 1, 10_000)
        self.season = None if season is None else size("season", season, 1, 1_000_000)
        self.ensemble = size("ensemble", ensemble, 0, 1000)
        self.hidden = size("hidden", hidden, 1, 10_000)
        self.interval = number("interval", interval, 0.0, 1.0, "()")
        self.seed = seed_of_draws(seed, True)
        reading: dict[str, Any] = {"target": target, "inputs": inputs, "future": future, "static": static, "id": id}
        reading |= {
            "time": time,
            "date_format": date_format,
            "frequency": frequency,
            "calendar": calendar,
            "fill": fill,
        }
        self._reading = {key: value for key, value in reading.items() if value is not None}
        self._recipe: Recipe | None = None
        self._learnt: Learnt | None = None
        self._chosen_rows: int | None = None  # how many rows chose what `update` keeps; None where it was never called

    # ---- What was learnt ----

    @property
    def shares(self) -> dict[str, dict[str, float]]:
        """Of each target, the share of each forecast in the combination."""
        learnt, _ = self._fitted()
        return {name: dict(model.shares) for name, model in zip(learnt.panel.targets, learnt.models, strict=True)}

    @property
    def recipe(self) -> Recipe:
        """What the columns of the table are for."""
        return self._fitted()[1]

    @property
    def panel(self) -> Panel:
        """The rows trained on."""
        return self._fitted()[0].panel

    @property
    def trained_steps(self) -> int:
        """How many rows ahead it was trained for."""
        return self._fitted()[0].steps

    @property
    def notes(self) -> list[str]:
        """What was decided about the table, one line each."""
        learnt, recipe = self._fitted()
        return list(dict.fromkeys([*recipe.notes, *learnt.panel.notes]))

    @property
    def chosen_rows(self) -> int:
        """How many rows chose shares, penalties and lags: fewer than those trained on after `update`."""
        return self.panel.rows if self._chosen_rows is None else self._chosen_rows

    def _fitted(self) -> tuple[Learnt, Recipe]:
        if self._learnt is None or self._recipe is None:
            raise ValueError("expected a fitted Forecaster: call fit first")
        return self._learnt, self._recipe

    # ---- Training ----

    def fit(self, df: pd.DataFrame, *, on_read: Callable[[Recipe, Panel, int], object] | None = None) -> Forecaster:
        """Learn from a table.

        Parameters
        ----------
        df : DataFrame
            Its rows in order of time, the sequences one after the other or mixed.
        on_read : callable, optional
            Called before it learns, which may take a while, with what was decided about the table: the recipe, the
            sequences and how many rows ahead it is trained for.

        Returns
        -------
        Forecaster
            This one.

        Raises
        ------
        TypeError, ValueError
            If `df` is no DataFrame, or has not the columns asked for.
        """
        recipe = Recipe.learn(_a_frame("df", df), season=self.season, **self._reading)
        panel = recipe.apply(df)
        if on_read is not None:
            on_read(recipe, panel, horizon(panel, self.steps, self.season)[1])
        learnt = self._learnt_of(panel)
        self._recipe, self._learnt, self._chosen_rows = recipe, learnt, None
        return self

    def _learnt_of(self, panel: Panel) -> Learnt:
        return Learnt.of(
            panel,
            steps=self.steps,
            season=self.season,
            ensemble=self.ensemble,
            hidden=self.hidden,
            seed=self.seed % 2**62,
        )

    def update(self, df: pd.DataFrame) -> Forecaster:
        """Go on learning, from rows that have come since.

        They join the rows trained on, and every part of the model is fitted anew to all of them: regressions in closed
        form; networks from the parameters that they have, for as many epochs again; intervals with the errors that the
        forecasts so far have made of the new rows. What was decided and chosen stays: the columns, steps, seasons and
        units, lags, penalties and shares. `fit` decides and chooses anew.

        Parameters
        ----------
        df : DataFrame
            New rows alone, or older ones too. With dates, rows are joined by them: a row that was trained on and is in
            `df` is taken as it is there. Without dates, a table that begins with the rows of a sequence has it whole,
            and any other goes on where that ends. A sequence that is new is learnt from as well, in units of its own.
            One without new rows stays as it is.

        Returns
        -------
        Forecaster
            This one. `notes` say what was joined.

        Raises
        ------
        TypeError, ValueError
            If `df` is no DataFrame, has other columns, kinds of columns or steps than the table trained on, or no row
            that is new. The forecaster has not changed then.
        """
        learnt, recipe = self._fitted()
        panel, rows = joined(recipe, learnt.panel, _a_frame("df", df)), self.chosen_rows
        learnt = learnt.again(panel, self.seed % 2**62)
        if (now := learnt.panel.rows) >= 2 * rows:
            learnt.panel.notes.append(
                f"it has {now:,} rows now, and was chosen by {rows:,}: training a new one on all rows chooses anew"
            )
        self._learnt, self._chosen_rows = learnt, rows
        return self

    # ---- Forecasts ----

    def predict(
        self, steps: int | None = None, df: pd.DataFrame | None = None, future: pd.DataFrame | None = None
    ) -> pd.DataFrame:
        """Forecast the rows that follow each sequence.

        Parameters
        ----------
        steps : int, optional
            How many; by default as many as it was trained for.
        df : DataFrame, optional
            The rows that are continued; by default those that it was trained on. A sequence's forecast depends on its
            own rows alone. Of one that was trained on, the last of them are enough, or those that follow. Rows at its
            end without targets tell what is known in advance.
        future : DataFrame, optional
            Rows to come, with the columns that are known in advance, the ids and the dates, by which rows are read.

        Returns
        -------
        DataFrame
            `steps` rows a sequence: its ids and dates, each target, and its interval as ``TARGET_lower`` and
            ``TARGET_upper`` (NaN where there were too few rows to know it).

        Raises
        ------
        TypeError, ValueError
            If a table has not the columns of the one trained on, or does not reach far enough.
        """
        learnt, recipe = self._fitted()
        steps = learnt.steps if steps is None else size("steps", steps, 1, 1_000_000)
        panel = learnt.panel if df is None else applied(recipe, learnt.panel, _a_frame("df", df))
        to_come = {} if future is None else self._to_come(future)
        tables = []
        for one in panel.sequences:
            before = history(one)
            times, known = self._known_ahead(one, before, to_come.get(one.id), steps)
            y_hat, lower, upper = learnt.ahead(before, known, steps, self.interval)
            columns: dict[str, Any] = {name: [text] * steps for name, text in zip(panel.id_names, one.id, strict=True)}
            columns[panel.time_name or "step"] = recipe.stamps(times) if panel.time_name else np.arange(1, steps + 1)
            for k, name in enumerate(panel.targets):
                columns |= {name: y_hat[:, k], f"{name}_lower": lower[:, k], f"{name}_upper": upper[:, k]}
            tables.append(pd.DataFrame(columns))
        return pd.concat(tables, ignore_index=True)

    def _to_come(self, future: pd.DataFrame) -> dict[tuple[str, ...], SequenceRows]:
        """What a table of rows to come tells, of each id."""
        learnt, recipe = self._fitted()
        frame = _a_frame("future", future).copy()
        for name in [*learnt.panel.targets, *learnt.panel.past_names]:
            if name not in frame.columns:
                frame[name] = np.nan
        return {one.id: one for one in recipe.apply(frame).sequences}

    def _known_ahead(
        self, one: SequenceRows, before: SequenceRows, to_come: SequenceRows | None, steps: int
    ) -> tuple[pd.Index, Array]:
        """The times of the steps to come, and what is known in advance up to them: ``[rows + steps, n_future]``."""
        learnt, recipe = self._fitted()
        at = f" of sequence {', '.join(one.id)}" if one.id else ""
        if len(before.y) == 0:
            raise ValueError(f"df: expected a row with a target{at}, got none to continue")
        times, known = recipe.extend(before, steps)
        given = one.future[len(before.y) :][:steps] if to_come is None else to_come.future[:steps]
        if to_come is None or learnt.panel.frequency is None:
            known[: len(given)] = given
        else:  # each row by its date
            rows = to_come.times.get_indexer(times)
            given = to_come.future[rows[rows >= 0]]
            known[rows >= 0] = given
        if np.isnan(known).any():
            names = [n for n, cells in zip(learnt.panel.future_names, known.T, strict=True) if np.isnan(cells).any()]
            raise ValueError(f"future: expected {', '.join(names)} in the {steps} rows to come{at}, got {len(given)}")
        return times, np.concatenate([before.future, known])

    # ---- How good they are ----

    def backtest(
        self,
        df: pd.DataFrame,
        steps: int | None = None,
        origins: int = 20,
        start: int | None = None,
        joins: bool = False,
    ) -> pd.DataFrame:
        """Compare forecasts with what came, and with simple forecasts.

        Each sequence is forecast from several of its rows, evenly apart, and each forecast knows the rows up to its
        own. Nothing is fitted anew.

        Parameters
        ----------
        df : DataFrame
            Rows that it was not trained on, or those that it was trained on and others after them: these are scored.
        steps : int, optional
            How many rows ahead; by default as many as it was trained for.
        origins : int
            How many forecasts a sequence, at most.
        start : int, optional
            The first row of each sequence that is scored. By default the first one after those trained on (as the
            dates tell or, without dates, as the values do) or, in sequences that were not, after as many as a full
            forecast reads, and half of the rows at most.
        joins : bool
            Whether the rows of `df` come after those trained on in any case, as for `update`. Otherwise they do where
            the dates say so, and no row is missing between.

        Returns
        -------
        DataFrame
            Of each target (level ``target`` of the index) the model and, beside it, the last value, the seasonal naive
            forecast of each season, the drift and ridge regression on lags (level ``forecast``): ``MAE``, ``RMSE`` in
            the target's units, ``MASE`` (the mean absolute error over that of the seasonal naive forecast one step
            ahead in the rows before; mean over the sequences), and the ``coverage`` of the model's intervals.

        Raises
        ------
        TypeError, ValueError
            If there are too few rows, or all of them were trained on.
        """
        learnt, recipe = self._fitted()
        df = _a_frame("df", df)
        panel = recipe.apply(df) if start is not None else applied(recipe, learnt.panel, df, joins)
        return scored(learnt, panel, steps, origins, start, self.interval)

    def holdout(
        self, df: pd.DataFrame, share: float = 0.2, steps: int | None = None, origins: int = 20
    ) -> pd.DataFrame:
        """Tell how good this forecaster would be on rows that choose nothing.

        One like it learns from the first rows of each sequence, and its forecasts of the last ones are scored as
        `backtest` says. This forecaster does not change.

        Parameters
        ----------
        df : DataFrame
            As for `fit`.
        share : float
            In (0, 1): of the rows of each sequence, those that are scored.
        steps, origins : int
            As for `backtest`; by default as many steps as it is trained for or, if there are fewer, the rows scored.

        Returns
        -------
        DataFrame
            As from `backtest`; its ``attrs["steps"]`` tells how many rows ahead.
        """
        share = number("share", share, 0.0, 1.0, "()")
        frame = _a_frame("df", df)
        first = Recipe.learn(frame, season=self.season, **self._reading).first_rows(frame, 1 - share)
        recipe = Recipe.learn(
            first, season=self.season, **self._reading
        )  # the rows that are scored choose nothing, the season neither
        learnt = self._learnt_of(recipe.apply(first))
        panel = recipe.apply(frame)
        trained = {one.id for one in learnt.panel.sequences}
        known = [one for one in panel.sequences if one.id in trained]
        if steps is None:
            had = {one.id: len(one.y) for one in learnt.panel.sequences}
            new = max((len(one.y) - had[one.id] for one in map(history, known)), default=0)
            steps = max(1, min(learnt.steps, new))
        scores = scored(learnt, replace(panel, sequences=known), steps, origins, None, self.interval)
        scores.attrs["steps"] = steps
        return scores

    # ---- Files and pictures ----

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the forecaster to a safetensors file, which `load` reads.

        It holds the rows trained on, from which `predict` goes on. The file is whole at every moment. Equal forecasters
        give equal bytes.

        Parameters
        ----------
        path : path-like
            By convention ``*.safetensors``. What stands there is replaced.
        """
        learnt, recipe = self._fitted()
        told = {**self._settings(), "recipe": recipe.as_json()}
        chosen = {} if self._chosen_rows is None else {"chosen_rows": self._chosen_rows}
        write(a_path("path", path), learnt, {**told, **chosen})

    def _settings(self) -> dict[str, Any]:
        return {
            "steps": self.steps,
            "season": self.season,
            "ensemble": self.ensemble,
            "hidden": self.hidden,
            "interval": self.interval,
            "seed": self.seed,
            "reading": self._reading,
        }

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Forecaster:
        """Read a forecaster that `save` has written.

        Parameters
        ----------
        path : path-like
            A safetensors file.

        Returns
        -------
        Forecaster

        Raises
        ------
        ValueError
            If the file is no forecaster of this package, or is damaged.
        OSError
            What the system says (no such file, no permission).
        """
        name = a_path("path", path)
        learnt, told = read(name)
        try:
            recipe, reading = Recipe.from_json(told.pop("recipe")), told.pop("reading")
            chosen = size("chosen_rows", told.pop("chosen_rows"), 1) if "chosen_rows" in told else None
            forecaster = cls(**told, **reading)
            check(learnt, recipe)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
            raise ValueError(f"{name}: bad configuration: {shortened(error)}") from None
        forecaster._recipe, forecaster._learnt, forecaster._chosen_rows = recipe, learnt, chosen
        return forecaster

    def plot(
        self,
        steps: int | None = None,
        *,
        df: pd.DataFrame | None = None,
        future: pd.DataFrame | None = None,
        target: str | None = None,
        id: Sequence[str] | None = None,
        ax: Any = None,
    ) -> Any:
        """Draw the last rows of a sequence, its forecast with the interval, and simple forecasts, with matplotlib.

        Parameters
        ----------
        steps, df, future : optional
            As for `predict`.
        target : str, optional
            Which target; by default the first.
        id : sequence of str, optional
            Which sequence: one text for each column of ids; by default the first.
        ax : matplotlib Axes, optional
            Where to draw; by default a new figure.

        Returns
        -------
        Axes
        """
        from bptt.forecast.picture import draw

        learnt, recipe = self._fitted()
        panel = learnt.panel if df is None else applied(recipe, learnt.panel, _a_frame("df", df))
        names, ids = panel.targets, [one.id for one in panel.sequences]
        if target is not None and target not in names:
            raise ValueError(f"target: expected one of {', '.join(names)}, got {target!r}")
        if id is not None and tuple(id) not in ids:
            raise ValueError(f"id: expected the id of a sequence, got {id!r}")
        one = panel.sequences[0 if id is None else ids.index(tuple(id))]
        before = history(one)
        steps = learnt.steps if steps is None else size("steps", steps, 1, 1_000_000)
        to_come = {} if future is None else self._to_come(future)
        times, known = self._known_ahead(one, before, to_come.get(one.id), steps)
        forecast = learnt.ahead(before, known, steps, self.interval)
        return draw(learnt, before, 0 if target is None else names.index(target), times, forecast, self.interval, ax)


def _a_frame(name: str, df: Any) -> pd.DataFrame:
    if not isinstance(df, pd.DataFrame):
        raise TypeError(f"{name}: expected a DataFrame, got {type(df).__name__}")
    if len(df) == 0:
        raise ValueError(f"{name}: expected rows, got none")
    return df
