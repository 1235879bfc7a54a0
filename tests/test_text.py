"""The text of a language model: files, vocabulary, streams, scoring, and the optimizer that it is trained with."""

from __future__ import annotations

import io
import math
from pathlib import Path

import numpy as np
import pytest

from bptt import ElmanRNN
from bptt.language_model import Streams, Trainer, nats_per_character, new_model, split, vocabulary_of
from bptt.text import UserError, Vocabulary, default_text, read_text

TEXTS = ["a", "hello world", "line\nline\n\ttab", "naïve façade “quoted” …", "日本語 text 🙂🙃", "\U0010ffff\x01é"]


@pytest.mark.parametrize("text", TEXTS)
def test_vocabulary(text: str) -> None:
    vocabulary = Vocabulary.of(text)
    assert vocabulary.characters == "".join(sorted(set(text)))
    assert len(vocabulary) == len(set(text))
    tokens = vocabulary.encode(text)
    assert tokens.dtype == np.int64
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


@pytest.mark.parametrize(("n", "batch", "tau"), [(1000, 4, 16), (65, 4, 16), (17, 1, 16), (100, 1, 1), (999, 7, 9)])
def test_streams_carry_on(n: int, batch: int, tau: int) -> None:
    streams = Streams(np.arange(n), batch, tau, seed=1)
    length = (n - 1) // batch
    after = None
    passes = 0
    for _ in range(5 * (length // tau)):
        x, y, begins = streams.window()
        assert x.shape == y.shape == (tau, batch)
        assert np.array_equal(y, x + 1)
        assert np.array_equal(np.diff(x[0]), np.full(batch - 1, length))
        passes += begins
        if begins:
            assert 0 <= x[0, 0] <= length % tau
        else:
            assert after is not None
            assert np.array_equal(x[0], after)
        after = y[-1]
    assert passes == 5


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


def test_scoring_a_part_of_a_long_text() -> None:
    tokens = np.random.default_rng(0).integers(0, 11, 40_000)
    rnn = memoryless(11)
    part, whole = nats_per_character(rnn, tokens, 10_000), nats_per_character(rnn, tokens)
    assert part != whole
    assert part == pytest.approx(whole, rel=0.05)  # about 10,000 draws: their mean's relative deviation is near 1 %
    assert nats_per_character(rnn, tokens, 100_000) == whole


def test_scoring_in_segments_hardly_differs_from_one_piece() -> None:
    tokens = np.random.default_rng(0).integers(0, 11, 5000)
    rnn = ElmanRNN(11, 8, 11, input="token", seed=3)
    rnn.W = 0.8 * np.asarray(rnn.W)  # what stands 128 steps back weighs 0.8**128, less than rounding
    whole = rnn.loss(tokens[:-1], tokens[1:]) / (len(tokens) - 1)
    assert nats_per_character(rnn, tokens) == pytest.approx(whole, rel=1e-5)


def test_model_carries_its_vocabulary() -> None:
    rnn = new_model(Vocabulary.of("abc é"), 4, seed=0)
    assert (rnn.n_in, rnn.n_hidden, rnn.n_out) == (5, 4, 5)
    assert vocabulary_of(rnn).characters == " abcé"
    for vocabulary in ["abc", "abccc", 5, None, list("abcde")]:
        rnn.metadata["vocabulary"] = vocabulary
        with pytest.raises(ValueError, match="not a character model"):
            vocabulary_of(rnn)
    with pytest.raises(ValueError, match="not a character model"):
        vocabulary_of(ElmanRNN(5, 4, 5))


def test_trainer_keeps_the_best() -> None:
    vocabulary = Vocabulary.of("abcdefgh")
    tokens = vocabulary.encode("abcdefgh" * 40)
    rnn = new_model(vocabulary, 8, seed=0)
    training, held_out = split(tokens, 8)
    trainer = Trainer(rnn, training, held_out, tau=8, batch=4, updates=40, rate=0.02, seed=0)
    for _ in range(40):
        trainer.update()
    best = trainer.validate(None)
    assert best < math.log(8) / 2
    assert trainer.best_update == 40
    kept = rnn.parameters.copy()
    rnn.parameters[:] = 0
    assert trainer.validate(None) == pytest.approx(math.log(8))
    trainer.keep_best()
    assert np.array_equal(rnn.parameters, kept)
    assert trainer.best == best
    rnn.parameters[:] = np.nan
    with pytest.raises(UserError, match="the loss is nan after 40 updates: try a smaller --lr"):
        trainer.update()
