"""The chart of a README: time relative to the fastest peer, in SVG, readable on light and dark. Measures nothing."""

from __future__ import annotations

from html import escape
from statistics import median

from peers import OURS, PEERS
from problem import SIZES, Line, Mode
from report import Results, Times, best, fastest_peer, milliseconds, modes_of

LONGEST = 2.5  # times the fastest peer: a bar ends here, and the number beside it tells the rest
SCALE = 100  # of a bar as long as the fastest peer's
BAR, PITCH = 11, 13  # height of a bar, and from bar to bar
LEFT, PANEL = 92, 470  # width of the names, and of a panel
TOP, BETWEEN = 66, 30  # height of the headings, and between the groups
STYLE = """
  text { font: 11px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 14px; font-weight: 600 } .line { font-weight: 600 } .faint { fill: #59636e }
  .grid { stroke: #d1d9e0 } .ours { fill: #0969da } .peer { fill: #afb8c1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .faint { fill: #9198a1 }
    .grid { stroke: #3d444d } .ours { fill: #4493f8 } .peer { fill: #656c76 }
  }
"""
HEADINGS: dict[Mode, str] = {"gradient": "Training gradient", "forward": "Forward"}


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def bars(times: Times, threads: int) -> list[tuple[str, float]]:
    """The contenders of a line with their seconds: ours first, then each peer at its better number of threads."""
    found = [(OURS.name, median(times[OURS.name, threads]))]
    return found + [(entry.name, seconds[0]) for entry in PEERS if (seconds := best(times, entry.name))]


def group(line: Line, rows: list[tuple[str, float]], unit: float, x: float, y: float) -> list[str]:
    """One line of the table: its sizes, and a bar a contender."""
    zero = x + LEFT
    shapes = [text(x, y - 7, str(line), "line")]
    for value in range(int(LONGEST) + 1):
        shapes.append(f'<path d="M{zero + value * SCALE:g} {y - 3:g}v{len(rows) * PITCH + 4}" class="grid"/>')
    for index, (name, seconds) in enumerate(rows):
        top = y + index * PITCH
        width = min(seconds / unit, LONGEST) * SCALE
        label = milliseconds(seconds) + (f"  ({seconds / unit:.1f} x)" if seconds > LONGEST * unit else "")
        kind = "ours" if name == OURS.name else "peer"
        shapes += [
            text(zero - 6, top + BAR - 2, name, anchor="end"),
            f'<rect x="{zero:g}" y="{top:g}" width="{width:.1f}" height="{BAR}" rx="2" class="{kind}"/>',
            text(zero + width + 5, top + BAR - 2, label, "faint"),
        ]
    return shapes


def svg(results: Results, threads: int, isa: str) -> str:
    """The chart: one panel a mode, side by side, and one group of bars a line."""
    legend = f"{threads} threads (peers: 1 or {threads}, whichever is faster), {isa}. Sizes: {SIZES}"
    shapes, panels = [], modes_of(results)
    for index, mode in enumerate(panels):
        x = 10 + index * PANEL
        shapes += [text(x, 18, HEADINGS[mode], "title"), text(x, 35, "time; 1 = the fastest peer", "faint")]
        for value in range(int(LONGEST) + 1):
            shapes.append(text(x + LEFT + value * SCALE, 35, str(value) if value else "", "faint", "middle"))
    y = TOP
    for line, modes in results.items():
        rows = {mode: bars(times, threads) for mode, times in modes.items()}
        for mode, times in modes.items():
            fastest = fastest_peer(times)
            unit = fastest[0] if fastest else rows[mode][0][1]
            shapes += group(line, rows[mode], unit, 10 + panels.index(mode) * PANEL, y)
        y += max(map(len, rows.values())) * PITCH + BETWEEN
    shapes.append(text(10, y - 6, legend, "faint"))
    size = f"{10 + PANEL * len(panels)} {y + 4}"
    body = "\n".join(shapes)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" role="img" '
        f'aria-label="bptt and its peers: time relative to the fastest peer">\n<style>{STYLE}</style>\n{body}\n</svg>\n'
    )
