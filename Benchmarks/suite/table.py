"""The tables that people read."""
import statistics


def number(value):
    """Three digits are what such measurements are good for."""
    for bound, digits in ((100, 0), (10, 1), (1, 2), (0.1, 3)):
        if abs(value) >= bound:
            return "%.*f" % (digits, value)
    return "%.2g" % value


def row(cell):
    rounds = cell.per_round()
    unit = "" if cell.is_ratio else " " + cell.unit
    return [
        cell.subject, cell.what,
        "%s %s" % (number(statistics.median(cell.ours)), cell.unit),
        "%s: %s" % (cell.peer, number(statistics.median(cell.theirs))) if cell.peer else "",
        number(cell.result) + unit,
        "%s – %s" % (number(min(rounds)), number(max(rounds))),
        str(cell.target) + unit if cell.target else "",
        {True: "yes", False: "NO", None: ""}[cell.met],
    ]


HEAD = ["image", "measured", "vhdfs", "peer", "result", "spread", "target", "met"]
RIGHT = {2, 4}


def text(section):
    rows = [HEAD] + [row(cell) for cell in section.cells]
    widths = [max(len(line[i]) for line in rows) for i in range(len(HEAD))]
    lines = ["", section.name + ": " + section.title, "=" * (len(section.name) + 2 + len(section.title))]
    lines += section.notes
    previous = None
    if section.cells:
        for index, line in enumerate(rows):
            shown = [""] + line[1:] if line[0] == previous else line
            previous = line[0]
            lines.append("  ".join(value.rjust(width) if i in RIGHT else value.ljust(width)
                                   for i, (value, width) in enumerate(zip(shown, widths))).rstrip())
            if index == 0:
                lines.append("  ".join("-" * width for width in widths))
    return "\n".join(lines)
