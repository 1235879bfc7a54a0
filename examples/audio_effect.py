"""An audio effect at 48 kHz: a network learns a device by ear, then plays it live in blocks of 64 samples.

    python examples/audio_effect.py [--quick] [--plot FILE]

The device is a resonant filter with overdrive, made in this file. The network hears a second of plucked strings and
what the device makes of them, in 32 streams. Then it plays other notes, and a sweep that is unlike them, through a
stream that carries the state from block to block and has settled on silence. Beside it: the input itself at its best
loudness, and the best linear filter of 256 taps. The error is its energy over that of the device's sound.

Measured, after 40 s of training on two cores: other notes -35.5 dB (linear filter -11.5, input -4.4), a sweep -25.2 dB
(-6.8, 0.0). A block of 64 samples takes 5.5 microseconds, the longest 19, of the 1333 that there are: 211 times real
time.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

import bptt

Array = NDArray[Any]
RATE = 48_000  # samples a second
BLOCK = 64  # samples that a sound card asks for at once
TAPS = 256  # of the linear filter


# ---- The device, and what is played through it ----


def device(x: Array) -> Array:
    """An overdriven low-pass filter with a resonance that is damped the less, the louder it is: ``[time, batch]``.

    low' = f band,  band' = f (4 x - low - tanh(band) / 2 - band / 5),  y = tanh(low).
    """
    f = 2 * np.sin(np.pi * 1200 / RATE)  # the resonance is at 1200 Hz
    low, band, y = np.zeros(x.shape[1]), np.zeros(x.shape[1]), np.empty_like(x)
    for x_t, y_t in zip(x, y, strict=True):
        low = low + f * band
        band = band + f * (4 * x_t - low - 0.5 * np.tanh(band) - 0.2 * band)
        y_t[:] = np.tanh(low)
    return y


def notes(seconds: float, streams: int, seed: int) -> Array:
    """Plucked strings after a moment of silence: ``[time, streams]``, eight notes a second, each of its own kind."""
    random = np.random.default_rng(seed)
    x = np.zeros((int(seconds * RATE), streams))
    t, k = np.arange(RATE // 2, dtype=np.float32)[:, None] / RATE, np.arange(1, 9, dtype=np.float32)
    for stream in range(streams):
        for begin in random.integers(RATE // 50, len(x), int(8 * seconds)):
            pitch, fade, loudness = (
                80 * 2 ** random.uniform(0, 3),
                random.uniform(4, 16),
                10 ** random.uniform(-1.3, -0.3),
            )
            phase = 2 * np.pi * random.random(8, np.float32)
            harmonics = np.exp(-fade * k**0.5 * t) * np.sin(2 * np.pi * pitch * k * t + phase)
            note = loudness * (harmonics / k).sum(axis=1) * (1 - t[:, 0] / t[-1])
            x[begin : begin + len(note), stream] += note[: len(x) - begin]
    return x.astype(np.float32)


def sweep(seconds: float) -> Array:
    """From 60 Hz to 6 kHz and from soft to loud, ``[time, 1]``: not in the training."""
    t = np.arange(int(seconds * RATE)) / RATE
    octaves = np.log2(100) / seconds
    phase = 2 * np.pi * 60 * (2 ** (octaves * t) - 1) / (octaves * np.log(2))
    x: Array = 0.5 * t / seconds * np.sin(phase)
    return x.astype(np.float32)[:, None]


# ---- Learning, and playing ----


def learned(quick: bool) -> bptt.ElmanRNN:
    x = notes(0.5 if quick else 1.0, 32, seed=1)
    rnn = bptt.ElmanRNN(1, 32, 1, output="linear", seed=0)
    x, y = x[..., None], device(x)[..., None]
    epochs, windows = (10 if quick else 60), -(-len(x) // 250)
    rnn.fit(
        x,
        y,
        optimizer=bptt.Adam(4e-3),
        schedule=bptt.schedules.Cosine(epochs * windows),
        epochs=epochs,
        truncate=250,
        clip_norm=0.1,
        seed=0,
    )
    return rnn


def live(rnn: bptt.ElmanRNN, x: Array) -> tuple[Array, Array]:
    """Play x ``[time, 1]`` block by block: what is heard, and the seconds that each block took."""
    stream = rnn.stream()
    stream.settle(np.zeros(1))  # silence comes first: else the start of the network would be heard as a click
    heard, seconds = np.empty_like(x), []
    for begin in range(0, len(x), BLOCK):
        block = slice(begin, begin + BLOCK)
        start = time.perf_counter()
        stream.run(x[block], out=heard[block])
        seconds.append(time.perf_counter() - start)
    return heard, np.array(seconds)


def linear_filter(x: Array, y: Array) -> Array:
    """The taps of the linear filter that is nearest to the device on x and y ``[time, batch]``: least squares."""
    size = 2 * len(x)
    spectrum, other = np.fft.rfft(x, size, axis=0), np.fft.rfft(y, size, axis=0)
    own = np.fft.irfft((np.abs(spectrum) ** 2).sum(axis=1), size)[:TAPS]
    crossed = np.fft.irfft((spectrum.conj() * other).sum(axis=1), size)[:TAPS]
    lags = np.abs(np.subtract.outer(np.arange(TAPS), np.arange(TAPS)))
    return np.linalg.solve(own[lags] + 1e-6 * own[0] * np.eye(TAPS), crossed)


def error(heard: Array, y: Array) -> float:
    """The energy of the error over that of the device's sound, in dB."""
    return float(10 * np.log10(((heard - y) ** 2).sum() / (y**2).sum()))


def plot(path: str, x: Array, sounds: dict[str, Array]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (a, b) = pyplot.subplots(1, 2, figsize=(13, 4.5), layout="constrained")
    loudest = int(np.abs(x).argmax())
    shown = slice(max(0, loudest - 300), loudest + 600)
    milliseconds = np.arange(len(x))[shown] / RATE * 1e3
    for (name, sound), style in zip(sounds.items(), ("-", "--", ":"), strict=True):
        a.plot(milliseconds, sound[shown, 0], style, label=name)
        window = np.hanning(4096)
        parts = [sound[i : i + 4096, 0] * window for i in range(0, len(sound) - 4095, 2048)]
        power = np.mean(np.abs(np.fft.rfft(parts, axis=1)) ** 2, axis=0)
        b.semilogx(np.fft.rfftfreq(4096, 1 / RATE)[4:], 10 * np.log10(power[4:] + 1e-9), style, label=name)
    a.set(title="the loudest note", xlabel="milliseconds")
    b.set(title="mean spectrum of unheard notes", xlabel="Hz", ylabel="dB", xlim=(50, 20_000))
    a.legend(loc="lower left")
    b.legend(loc="lower left")
    figure.savefig(path, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few seconds: less to hear, less training")
    parser.add_argument(
        "--plot", metavar="FILE", help="draw waveform and spectrum (.png, .svg or .pdf); needs matplotlib"
    )
    options = parser.parse_args()

    start = time.perf_counter()
    rnn = learned(options.quick)
    print(f"trained: {rnn.n_hidden} units, {time.perf_counter() - start:.0f} s\n")

    known = notes(1.0, 8, seed=2)
    taps = linear_filter(known, device(known))
    materials = {"other notes": notes(2.0, 1, seed=3), "a sweep": sweep(2.0)}
    print(f"{'error, dB':>12}  {'identity':>8}  {'linear filter':>13}  {'network':>7}")
    for name, x in materials.items():
        y = device(x)
        heard, seconds = live(rnn, x)
        linear = np.convolve(x[:, 0], taps)[: len(x), None]
        gain = (x * y).sum() / (x * x).sum()
        print(f"{name:>12}  {error(gain * x, y):8.1f}  {error(linear, y):13.1f}  {error(heard, y):7.1f}")
        if name == "other notes":
            sounds, played = {"device": y, "linear filter": linear, "network": heard}, x

    deadline = BLOCK / RATE
    print(f"\nlive, blocks of {BLOCK} samples, {deadline * 1e6:.0f} microseconds each:")
    print(f"{'times real time':>24}  {len(seconds) * deadline / seconds.sum():.0f}")
    print(f"{'median block':>24}  {np.median(seconds) * 1e6:.1f} microseconds")
    print(f"{'longest block':>24}  {seconds.max() * 1e6:.0f} microseconds")
    if options.plot:
        plot(options.plot, played, sounds)


if __name__ == "__main__":
    main()
