"""The chart of a README: how many times as long each peer takes, in SVG, for light and dark pages. Measures nothing."""

from __future__ import annotations

import math
from html import escape
from statistics import median

from peers import OURS, PEERS
from problem import SIZES, Line, Mode
from report import Results, Times, best, fastest_peer, milliseconds, of_mode

PITCH, TOP, BOTTOM = 25, 78, 30  # from row to row; height of the headings, and of what is below the rows
NAMES, TIME, PLOT, RATIO = 262, 72, 330, 92  # widths, from left to right
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
TITLES: dict[Mode, str] = {
    "gradient": "A training gradient: how many times as long as bptt?",
    "forward": "A forward pass: how many times as long as bptt?",
}
# An image cannot know whether its page is light or dark, so each colour suits both: its contrast to white and to
# #0d1117 is 3.5 or more. The marks differ in their form, too.
TEXT, GRID, BLUE = "#79808a", "#8b949e", "#2f81f7"
MARKS = {  # by contender: colour and path, around (0, 0)
    "PyTorch": ("#e0603a", "M-5 -5h10v10h-10z"),
    "JAX": ("#9d6fdc", "M0 -6.5L6.2 5.2H-6.2z"),
    "ONNX Runtime": ("#1c9463", "M0 -6.8L6.8 0L0 6.8L-6.8 0z"),
    "NumPy": ("#a87c0c", "M-5.2 0a5.2 5.2 0 1 0 10.4 0a5.2 5.2 0 1 0 -10.4 0z"),
}
STYLE = f"""
  text {{ font: 13px system-ui, -apple-system, "Segoe UI", sans-serif; fill: {TEXT} }}
  .title {{ font-size: 16px; font-weight: 600 }} .ours {{ fill: {BLUE}; font-weight: 600 }} .small {{ font-size: 12px }}
"""


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def mark(name: str, x: float, y: float) -> str:
    colour, path = MARKS[name]
    return f'<path d="{path}" transform="translate({x:.1f} {y:.1f})" fill="{colour}"/>'


class Axis:
    """Times as long as bptt, on a logarithmic axis from `left` on."""

    def __init__(self, left: float, ratios: list[float]) -> None:
        self.left = left
        self.low, self.high = min(0.85, 0.9 * min(ratios)), max(2.2, 1.15 * max(ratios))

    def x(self, ratio: float) -> float:
        return self.left + PLOT * math.log(ratio / self.low) / math.log(self.high / self.low)


def slower(times: Times, threads: int) -> dict[str, float]:
    """Of each peer, at its better number of threads: its time by ours."""
    ours = median(times[OURS.name, threads])
    return {entry.name: seconds[0] / ours for entry in PEERS if (seconds := best(times, entry.name))}


def row(line: Line, times: Times, threads: int, axis: Axis, y: float) -> list[str]:
    """One line of the table: its sizes, our time, a mark a peer, and how much the fastest peer is slower."""
    ours, found = median(times[OURS.name, threads]), slower(times, threads)
    shapes = [text(0, y + 4, str(line)), text(NAMES + TIME - 12, y + 4, milliseconds(ours), "ours", "end")]
    if found:
        ends = axis.x(min(1, *found.values())), axis.x(max(found.values()))
        shapes.append(
            f'<path d="M{ends[0]:.1f} {y:g}H{ends[1]:.1f}" stroke="{GRID}" stroke-opacity=".55" stroke-width="1.5"/>'
        )
    shapes.append(f'<circle cx="{axis.x(1):.1f}" cy="{y:g}" r="5.5" fill="{BLUE}"/>')
    shapes += [mark(name, axis.x(ratio), y) for name, ratio in found.items()]
    fastest = fastest_peer(times)
    if fastest:
        shapes.append(text(NAMES + TIME + PLOT + RATIO, y + 4, f"{fastest[0] / ours:.1f}x", "ours", "end"))
    return shapes


def svg(results: Results, mode: Mode, threads: int) -> str:
    """The chart of a mode: a row a line."""
    measured = of_mode(results, mode)
    ratios = [ratio for times in measured.values() for ratio in slower(times, threads).values()]
    left, bottom = NAMES + TIME, TOP + PITCH * len(measured)
    axis, right = Axis(left, ratios or [1.0]), NAMES + TIME + PLOT + RATIO
    names = [entry.name for entry in PEERS if any(best(times, entry.name) for times in measured.values())]
    shapes = [text(0, 16, TITLES[mode], "title"), text(right, TOP - 14, "fastest peer", "small", "end")]
    shapes += [text(0, TOP - 14, SIZES, "small"), text(left - 12, TOP - 14, "bptt", "ours small", "end")]
    x = 6.0
    shapes.append(f'<circle cx="{x:g}" cy="36" r="5.5" fill="{BLUE}"/>{text(x + 11, 40, OURS.name, "ours")}')
    x += 62
    for name in names:
        shapes += [mark(name, x, 36), text(x + 11, 40, name)]
        x += 34 + 7.4 * len(name)
    for value in TICKS:
        if axis.low <= value <= axis.high:
            stroke = f'stroke="{BLUE}" stroke-width="1.5"' if value == 1 else f'stroke="{GRID}" stroke-opacity=".3"'
            shapes.append(f'<path d="M{axis.x(value):.1f} {TOP - 8}V{bottom - 6}" {stroke}/>')
            shapes.append(text(axis.x(value), TOP - 14, f"{value}x", "ours small" if value == 1 else "small", "middle"))
    for number, (line, times) in enumerate(measured.items()):
        shapes += row(line, times, threads, axis, TOP + PITCH * (number + 0.35))
    note = f"bptt: {threads} threads; peers: 1 or {threads}, whichever is faster. Right of the line: slower than bptt."
    shapes.append(text(0, bottom + 16, note, "small"))
    label = f"{TITLES[mode]} {note}"
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-8 -4 {right + 16} {bottom + BOTTOM}" role="img" '
        f'aria-label="{escape(label)}">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )
