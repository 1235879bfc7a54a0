"""What the export to C refuses: by name, before a file is written."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bptt.app.options
from bptt import ElmanRNN, export_c
from refusals import refuses

SOFTMAX = ElmanRNN(4, 3, 5, seed=0)
TOKENS = ElmanRNN(4, 3, 5, input="token", seed=0)
LINEAR = ElmanRNN(2, 3, 1, output="linear", seed=0)
COLUMNS = {
    "inputs": ["a", "b"],
    "targets": ["c"],
    "input_mean": [0, 1],
    "input_scale": [1, 2],
    "target_mean": [0.5],
    "target_scale": [1.5],
}
NAME = (
    "prefix: expected a name of C, of at most 40 letters, digits and single underscores, that begins with a letter and "
    "is no keyword, got "
)


def not_finite() -> Any:
    rnn = ElmanRNN(4, (3, 2), 5, seed=0)
    rnn.layers[1].W[0, 1] = np.inf
    return rnn


@pytest.mark.parametrize(
    ("rnn", "arguments", "error", "message"),
    [
        (3, {}, TypeError, "rnn: expected an ElmanRNN or a JordanRNN, got int"),
        (
            ElmanRNN(4, 3, 5, bidirectional=True, seed=0),
            {},
            ValueError,
            "rnn: expected one direction, got bidirectional=True: the second one begins at the end of a sequence, "
            "which a step does not know",
        ),
        (not_finite(), {}, ValueError, "rnn: expected finite parameters, got NaN or infinity in W2"),
        (SOFTMAX, {"prefix": 3}, TypeError, "prefix: expected a str, got int"),
        (SOFTMAX, {"prefix": ""}, ValueError, f"{NAME}''"),
        (SOFTMAX, {"prefix": "int"}, ValueError, f"{NAME}'int'"),
        (SOFTMAX, {"prefix": "2nd"}, ValueError, f"{NAME}'2nd'"),
        (SOFTMAX, {"prefix": "_a"}, ValueError, f"{NAME}'_a'"),
        (SOFTMAX, {"prefix": "a__b"}, ValueError, f"{NAME}'a__b'"),
        (SOFTMAX, {"prefix": "a\n"}, ValueError, f"{NAME}'a\\n'"),
        (SOFTMAX, {"prefix": "\u00e9"}, ValueError, f"{NAME}'\u00e9'"),
        (SOFTMAX, {"prefix": "a" * 41}, ValueError, f"{NAME}'{'a' * 41}'"),
        (SOFTMAX, {"math": "fast"}, ValueError, "math: expected one of 'own', 'libm', got 'fast'"),
        (SOFTMAX, {"lanes": 4.0}, TypeError, "lanes: expected an int, got float"),
        (SOFTMAX, {"lanes": 3}, ValueError, "lanes: expected one of 1, 4, 8, 16, got 3"),
        (SOFTMAX, {"vocabulary": [1]}, TypeError, "vocabulary: expected a str, got list"),
        (SOFTMAX, {"vocabulary": "abcd"}, ValueError, "vocabulary: expected 5 characters, got 4"),
        (TOKENS, {"vocabulary": "abc"}, ValueError, "vocabulary: expected 4 or 5 characters, got 3"),
        (TOKENS, {"vocabulary": "abca"}, ValueError, "vocabulary: expected each character once"),
        (
            TOKENS,
            {"vocabulary": "abc\ud800"},
            ValueError,
            "vocabulary: expected characters that UTF-8 has, got a surrogate",
        ),
        (
            LINEAR,
            {"vocabulary": "ab"},
            ValueError,
            "vocabulary: expected None, as the network neither reads nor puts out tokens",
        ),
        (LINEAR, {"columns": 3}, TypeError, "columns: expected a mapping, got int"),
        (
            TOKENS,
            {"columns": COLUMNS},
            ValueError,
            "columns: expected None, as only a network with input='real' and output='linear' has units, got "
            "input='token' and output='softmax'",
        ),
        (LINEAR, {"columns": {}}, ValueError, "columns: expected the key 'inputs', got none"),
        (
            LINEAR,
            {"columns": COLUMNS | {"inputs": "ab"}},
            TypeError,
            "columns['inputs']: expected a list of 2 str, got 'ab'",
        ),
        (
            LINEAR,
            {"columns": COLUMNS | {"targets": ["c", "d"]}},
            ValueError,
            "columns['targets']: expected 1 names, got 2",
        ),
        (
            LINEAR,
            {"columns": COLUMNS | {"input_scale": [1.0, 0.0]}},
            ValueError,
            "columns['input_scale']: expected positive numbers, got [1.0, 0.0]",
        ),
        (
            LINEAR,
            {"columns": COLUMNS | {"target_mean": [np.nan]}},
            ValueError,
            "columns['target_mean']: expected finite numbers, got [nan]",
        ),
        (
            LINEAR,
            {"columns": COLUMNS | {"input_mean": None}},
            TypeError,
            "columns['input_mean']: expected a list of 2 numbers, got None",
        ),
        (
            LINEAR,
            {"columns": COLUMNS | {"differences": 1}},
            TypeError,
            "columns['differences']: expected True or False, got 1",
        ),
    ],
)
def test_refused(rnn: Any, arguments: dict[str, Any], error: type[Exception], message: str, tmp_path: Path) -> None:
    refuses(lambda: export_c(rnn, tmp_path / "model.h", **arguments), error, message)
    assert list(tmp_path.iterdir()) == []


def test_a_path_that_is_none_is_refused() -> None:
    refuses(lambda: export_c(SOFTMAX, 3), TypeError, "path: expected a path, got int")  # type: ignore[arg-type]


def test_the_command_refuses_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, out = str(tmp_path / "model.safetensors"), str(tmp_path / "model.h")
    SOFTMAX.save(model)
    for arguments, message in [
        ([model, "-o", model], f"--out {model}: is a file that is read, {model}"),
        ([model, "-o", out, "--prefix", "int"], f"--{NAME}'int'"),
        ([model, "-o", str(tmp_path / "none" / "model.h")], f"--out {tmp_path}/none/model.h: cannot write into"),
    ]:
        assert bptt.app.options.main(["export-c", *arguments]) == 2
        assert capsys.readouterr().err.startswith(f"bptt: {message}")
