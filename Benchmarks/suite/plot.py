"""The results as a picture: one bar a cell, on a logarithmic scale, as SVG."""
import math
from html import escape

from .table import number

WIDTH, ROW, HEAD, GAP = 1000, 17, 26, 26
LEFT, RIGHT = 330, 880  # of the scale
TICKS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100]
COLORS = {True: "#2a9d8f", False: "#e76f51", None: "#a8b0b8"}
STYLE = """
text { font: 12px system-ui, sans-serif; fill: #222 }
.title { font-size: 17px; font-weight: 600 }
.section { font-size: 13px; font-weight: 600 }
.small { font-size: 10px; fill: #666 }
.end { text-anchor: end }
.middle { text-anchor: middle }
.grid { stroke: #e4e7ea }
.one { stroke: #555; stroke-dasharray: 4 3 }
.target { stroke: #111; stroke-width: 2.5 }
.spread { stroke: #333; opacity: .55 }
"""


class Scale:
    def __init__(self, values):
        self.low = min(0.5, *(value for value in values if value > 0))
        self.low = max(TICKS[0], max(tick for tick in TICKS if tick <= max(self.low, TICKS[0])))
        highest = max(2, *values)
        self.high = min((tick for tick in TICKS if tick >= highest), default=TICKS[-1])

    def at(self, value):
        value = min(max(value, self.low), self.high)
        return LEFT + (RIGHT - LEFT) * math.log(value / self.low) / math.log(self.high / self.low)

    def ticks(self):
        return [tick for tick in TICKS if self.low <= tick <= self.high]


def shares(cell):
    """(result, smallest, largest, target) on the scale. What is no ratio is shown as a share of what is allowed."""
    rounds = cell.per_round()
    unit = 1 if cell.is_ratio else cell.target.bound
    return [value / unit for value in (cell.result, min(rounds), max(rounds))] + [cell.target.bound / unit if cell.target else None]


def svg(machine, sections):
    sections = [(section, [cell for cell in section.cells if cell.is_ratio or cell.target]) for section in sections]
    sections = [(section, cells) for section, cells in sections if cells]
    scale = Scale([0.5] + [shares(cell)[0] for _, cells in sections for cell in cells])
    bodies, y = [], 100
    for section, cells in sections:
        bodies.append(group(section, cells, scale, y))
        y += HEAD + ROW * len(cells) + GAP
    return "\n".join([
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d">' % (WIDTH, y, WIDTH, y),
        "<style>%s</style>" % STYLE,
        '<rect width="100%" height="100%" fill="#fff"/>',
        text(20, 28, "vhdfs in relation to its peers", "title"),
        text(20, 46, machine[0] if machine else "", "small"),
        legend(62),
        *bodies, "</svg>", ""])


def group(section, cells, scale, top):
    bottom = top + HEAD + ROW * len(cells)
    parts = [text(20, top, section.name, "section"), text(30 + 8 * len(section.name), top, section.title, "small")]
    for tick in scale.ticks():
        x = scale.at(tick)
        parts.append(line(x, top + HEAD - 4, x, bottom, "one" if tick == 1 else "grid"))
        parts.append(text(x, top + HEAD - 8, "%g" % tick, "small middle"))
    previous = None
    for index, cell in enumerate(cells):
        parts.append(bar(cell, cell.subject != previous, scale, top + HEAD + ROW * index))
        previous = cell.subject
    return "\n".join(parts)


def bar(cell, named, scale, y):
    result, low, high, target = shares(cell)
    start, end, middle = scale.at(scale.low), scale.at(result), y + ROW / 2
    parts = [text(20, y + 12, cell.subject, "") if named else "",
             text(LEFT - 8, y + 12, cell.what + (" : " + cell.peer if cell.is_ratio else ""), "end"),
             '<rect x="%.1f" y="%.1f" width="%.1f" height="%d" fill="%s"/>'
             % (start, y + 2.5, max(1, end - start), ROW - 5, COLORS[cell.met]),
             line(scale.at(low), middle, scale.at(high), middle, "spread")]
    if target:
        parts.append(line(scale.at(target), y + 0.5, scale.at(target), y + ROW - 0.5, "target"))
    value = number(cell.result) + ("" if cell.is_ratio else " " + cell.unit)
    label = value + (" (%s)" % cell.target if cell.target else "")
    parts.append(text(RIGHT + 8, y + 12, label, ""))
    return "".join(parts)


def legend(y):
    parts, x = [], 20
    for met, words in ((True, "target met"), (False, "target not met"), (None, "no target")):
        parts.append('<rect x="%d" y="%d" width="12" height="12" fill="%s"/>' % (x, y, COLORS[met]) + text(x + 17, y + 10, words, "small"))
        x += 100
    parts.append(line(x, y, x, y + 12, "target") + text(x + 8, y + 10, "target", "small"))
    parts.append(line(x + 60, y + 6, x + 85, y + 6, "spread") + text(x + 92, y + 10, "smallest to largest of the rounds", "small"))
    parts.append(text(x + 270, y + 10, "bars without a peer: share of what is allowed", "small"))
    return "".join(parts)


def text(x, y, words, kind):
    return '<text x="%.1f" y="%.1f" class="%s">%s</text>' % (x, y, kind, escape(words)) if words else ""


def line(x1, y1, x2, y2, kind):
    return '<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" class="%s"/>' % (x1, y1, x2, y2, kind)
