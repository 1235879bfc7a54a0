"""The text of a language model: files, vocabulary, streams, segments, scoring."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest

from bptt import Adam, ElmanRNN, JordanRNN
from bptt.app.architecture import Architecture
from bptt.app.errors import UserError
from bptt.app.text_data import Vocabulary, default_text, read_text
from bptt.app.text_model import (
    following,
    nats_per_character,
    new_model,
    read_by,
    sample,
    sample_in_parts,
    segments,
    split,
    streams,
    vocabulary_of,
)

TEXTS = ["a", "hello world", "line\nline\n\ttab", "naïve façade “quoted” …", "日本語 text 🙂🙃", "\U0010ffff\x01é"]


@pytest.mark.parametrize("text", TEXTS)
def test_vocabulary(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    assert vocabulary.characters == "".join(sorted(set(text)))
    assert len(vocabulary) == len(set(text))
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.int8  # a text is long
    assert tokens.tolist() == [vocabulary.characters.index(character) for character in text]
    assert vocabulary.decode(tokens) == text


def test_vocabulary_keeps_a_given_order() -> None:
    vocabulary = Vocabulary("cab")
    assert vocabulary.encode("abc").tolist() == [1, 2, 0]
    assert vocabulary.decode(np.array([0, 1, 2], np.int32)) == "cab"
    assert vocabulary.encode("").shape == (0,)


@pytest.mark.parametrize("characters", ["", "aba"])
def test_vocabulary_refuses(characters: str) -> None:
    with pytest.raises(ValueError, match="characters: expected at least one, and each once"):
        Vocabulary(characters)


@pytest.mark.parametrize(
    ("text", "code", "line", "column"),
    [
        ("!abc", "U+0021", 1, 1),  # below the smallest
        ("abc\nac\nabé", "U+00E9", 3, 3),  # above the largest
        ("abd\nbbb", "U+0062", 2, 1),  # in a gap
        ("a🙂", "U+1F642", 1, 2),
        ("\udcff", "U+DCFF", 1, 1),  # what a command line makes of a byte that is no UTF-8
    ],
)
def test_unknown_character(text: str, code: str, line: int, column: int) -> None:
    vocabulary = Vocabulary("\nacd" if code == "U+0062" else "\nabc")
    with pytest.raises(UserError) as caught:
        vocabulary.encode(text.replace("b", "c", 1) if code == "U+0062" else text, "book.txt")
    message = str(caught.value)
    assert message.startswith("book.txt: unknown character ")
    assert f"({code}) at line {line}, column {column}:" in message
    assert message.isascii()
    assert "\n" not in message


def test_read_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = b"\xef\xbb\xbfone\r\ntwo\rthree\n\xc3\xa9"
    (tmp_path / "text").write_bytes(data)
    assert read_text(str(tmp_path / "text")) == "one\ntwo\nthree\né"
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert read_text("-") == "one\ntwo\nthree\né"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "the text is empty"),
        (b"\xef\xbb\xbf", "the text is empty"),
        (b"abc\xff", r"not a UTF-8 text file \(byte 0xff at offset 3\)"),
        (b"\xef\xbb\xbfabc\xc3", r"not a UTF-8 text file \(byte 0xc3 at offset 6\)"),
        ("text".encode("utf-16"), r"not a UTF-8 text file \(byte 0x00 at offset 3\)"),
    ],
)
def test_read_text_refuses(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "text"
    path.write_bytes(data)
    with pytest.raises(UserError, match=message):
        read_text(str(path))


def test_default_text_has_each_passage_once() -> None:
    text = default_text()
    passages = [" ".join(passage.split()) for passage in text.split("\n\n")]
    assert len(passages) == len(set(passages))
    assert len(text) > 100_000
    assert "statement" in text
    assert text == default_text()


def test_split() -> None:
    tokens = np.arange(1000)
    training, held_out = split(tokens, 20)
    assert np.array_equal(np.concatenate([training, held_out]), tokens)
    assert len(held_out) == 100
    assert [len(part) for part in split(tokens, 150)] == [849, 151]
    assert [len(part) for part in split(np.zeros(3_000_000, np.int64), 64)] == [2_800_000, 200_000]
    assert [len(part) for part in split(tokens[:42], 20)] == [21, 21]
    with pytest.raises(UserError, match=r"book\.txt: too short, 41 characters; windows of 20 need at least 42"):
        split(tokens[:41], 20, "book.txt")


@pytest.mark.parametrize(("n", "batch"), [(1000, 4), (65, 4), (17, 1), (2, 1), (999, 7), (32, 31)])
def test_streams_carry_on_and_leave_nothing_out(n: int, batch: int) -> None:
    tokens = np.arange(n)
    x = streams(tokens, batch)
    y = following(x, n - 1, int(tokens[-1]))
    assert x.shape == y.shape == (math.ceil((n - 1) / batch), batch)
    scored = y >= 0
    assert np.array_equal(y[scored], x[scored] + 1)
    assert np.array_equal(y.T[scored.T], tokens[1:])  # stream after stream, each target once
    assert (~scored).sum() == batch * len(x) - (n - 1)


def memoryless(n: int) -> ElmanRNN:
    rnn = ElmanRNN(n, 8, n, input="token", seed=3)
    rnn.W = np.zeros((8, 8), np.float32)
    return rnn


@pytest.mark.parametrize("n", [2, 3, 128, 129, 130, 1000, 1153, 1154, 5000, 40_000])
def test_every_character_is_scored_once(n: int) -> None:
    # Without a recurrence it is the same sum however the text is cut; a character scored twice or not at all shows.
    tokens = np.random.default_rng(n).integers(0, 11, n)
    rnn = memoryless(11)
    whole = rnn.loss(tokens[:-1], tokens[1:]) / (n - 1)
    # The two sums differ in the order of at most 40,000 terms that are rounded to float32 before.
    assert nats_per_character(rnn, tokens) == pytest.approx(whole, rel=1e-5)


def test_segments_of_a_part_of_a_long_text() -> None:
    tokens = np.arange(40_000)
    x, y = next(segments(tokens, 10_000))
    parts = list(segments(tokens))
    assert [part.shape[1] for part, _ in parts] == [32, 7]
    whole = np.hstack([y for _, y in parts])
    assert 8_000 <= (y >= 0).sum() <= 10_500
    assert (whole >= 0).sum() == 39_999
    assert np.array_equal(y[y >= 0], x[y >= 0] + 1)
    first = np.where(y >= 0, y, 40_000).min(axis=0)
    assert (np.diff(first) > 3_000).all()
    assert (first[1:] - x[0, 1:] > 128).all()
    assert np.array_equal(next(segments(tokens, 100_000))[1], whole)


def test_scoring_in_segments_hardly_differs_from_one_piece() -> None:
    tokens = np.random.default_rng(0).integers(0, 11, 5000)
    rnn = ElmanRNN(11, 8, 11, input="token", seed=3)
    rnn.W = 0.8 * np.asarray(rnn.W)  # what stands 128 steps back weighs 0.8**128, less than rounding
    whole = rnn.loss(tokens[:-1], tokens[1:]) / (len(tokens) - 1)
    assert nats_per_character(rnn, tokens) == pytest.approx(whole, rel=1e-5)


@pytest.mark.parametrize("network", ["elman", "jordan"])
def test_model_carries_its_vocabulary(network: str) -> None:
    rnn = new_model(Vocabulary.of("abc é"), Architecture(network, (4,)))
    assert (rnn.n_in, rnn.n_hidden, rnn.n_out) == (5 if network == "elman" else 0, 4, 5)
    found = vocabulary_of(rnn)
    assert found is not None
    assert found.characters == " abcé"
    for vocabulary in ["abc", "abccc", 5, None, list("abcde")]:
        rnn.metadata["vocabulary"] = vocabulary
        assert vocabulary_of(rnn) is None


@pytest.mark.parametrize(
    "rnn",
    [
        ElmanRNN(5, 4, 5),
        ElmanRNN(5, 4, 5, input="token", readout="last"),
        ElmanRNN(5, 4, 5, input="token", output="sigmoid"),
        ElmanRNN(4, 4, 5, input="token"),
        JordanRNN(5, 4, 5),
        JordanRNN(0, 4, 5, output="linear"),
    ],
    ids=repr,
)
def test_other_networks_are_no_models_of_text(rnn: ElmanRNN | JordanRNN) -> None:
    rnn.metadata["vocabulary"] = "abcde"
    assert vocabulary_of(rnn) is None


def test_a_jordan_network_reads_a_text_as_its_own_output() -> None:
    # Trained by teacher forcing on "abcabc...", it knows each character from the one before; nothing is read.
    vocabulary = Vocabulary.of("abc")
    rnn = new_model(vocabulary, Architecture("jordan", (8,)))
    x = streams(vocabulary.encode("abc" * 200), 2)
    y = following(x, 599, vocabulary.encode("c")[0])
    assert read_by(rnn, x).shape == (300, 2, 0)
    rnn.fit(read_by(rnn, x), y, optimizer=Adam(0.05), epochs=30, truncate=20, progress=False)
    assert nats_per_character(rnn, vocabulary.encode("abc" * 50)) < 0.1
    assert sample(rnn, vocabulary, "ab", 9, 0.0, 0) == "cabcabcab"


def test_a_model_that_is_not_finite_says_so() -> None:
    vocabulary = Vocabulary("ab")
    rnn = new_model(vocabulary, Architecture("elman", (3,)))
    rnn.c[1] = np.nan
    with pytest.raises(UserError, match="expected finite outputs to draw from, got NaN or infinity"):
        sample(rnn, vocabulary, "", 5, 1.0, 0)
    rnn.c[1] = 0
    parts = sample_in_parts(rnn, vocabulary, "a", 3000, seed=0)
    first = next(parts)
    assert 0 < len(first) <= 1000
    assert first + "".join(parts) == sample(rnn, vocabulary, "a", 3000, 1.0, 0)
