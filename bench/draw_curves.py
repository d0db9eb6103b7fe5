#!/usr/bin/env python3
"""Draws what `onecopy-bench curves` has measured, as SVG.

    bench/draw_curves.py [--csv docs/curves/curves.csv] [--to docs/curves]

A picture for each thing that is varied (keys.svg, values.svg, …), with a row for each measure and a column for
each load, and written.svg. Colours follow the reader's light or dark scheme. Only the Python standard library
is needed.
"""

import argparse
import csv
import math
import pathlib
import sys

CURVES = pathlib.Path(__file__).resolve().parent.parent / "docs" / "curves"

# Each system with its name in the legend, its colour in light and in dark, its dashes and its marker.
SYSTEMS = {
    ("onecopy", "memory"): ("Onecopy, all copies have it in memory", "#1f5fd0", "#74aaff", "", "circle"),
    ("onecopy", "disk"): ("Onecopy, all copies have it on disk", "#0b7a5e", "#48cfa8", "6 4", "square"),
    ("redis", "none"): ("Redis, no log", "#c62f22", "#ff8577", "", "triangle"),
    ("redis", "everysec"): ("Redis, log synced once a second", "#a86400", "#f2b455", "6 4", "diamond"),
}

# What is varied: the label of the axis, and whether it is logarithmic.
OVER = {
    "keys": ("keys", True),
    "values": ("size of a value", True),
    "clients": ("connections", True),
    "copies": ("copies of the data", False),
    "groups": ("groups of Onecopy, databases of Redis", True),
}

# Columns of the table, with the label of the axis.
MEASURES = {
    "per_second": "commands per second",
    "p99_ms": "p99, milliseconds",
    "processor_micros": "µs of processor per command",
}
WRITTEN = "written_per_log_byte"

PANEL_WIDTH, PANEL_HEIGHT = 330, 190
LEFT, RIGHT, TOP, BOTTOM = 64, 14, 28, 44  # around the plot of each panel
LEGEND = 52  # above all panels


def number(value):
    """As few characters as are needed."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def size(value):
    """A number of bytes."""
    for unit, bytes in (("MiB", 1 << 20), ("KiB", 1 << 10)):
        if value >= bytes:
            return f"{value / bytes:g} {unit}"
    return f"{value:g} B"


def log_ticks(low, high):
    """1, 2, 5, 10, … around all values; and those that are written at the axis: decades alone if these are many."""
    steps = [digit * 10.0**power for power in range(-6, 10) for digit in (1, 2, 5)]
    first = max(index for index, step in enumerate(steps) if step <= low * 1.001)
    last = min(index for index, step in enumerate(steps) if step >= high * 0.999)
    ticks = steps[first : max(last, first + 1) + 1]
    decades = [tick for tick in ticks if math.log10(tick).is_integer()]
    return ticks, decades if len(decades) > 3 else ticks


class Axis:
    """Where values are, between two ends of a picture."""

    def __init__(self, low, high, begin, end, logarithmic):
        self.scale = math.log10 if logarithmic else float
        self.low, self.high = self.scale(low), self.scale(high)
        self.begin, self.end = begin, end

    def __call__(self, value):
        span = self.high - self.low
        share = (self.scale(value) - self.low) / span if span else 0.5
        return self.begin + share * (self.end - self.begin)


def marker(shape, x, y, of):
    if shape == "circle":
        return f'<circle class="{of} fill" cx="{x:.1f}" cy="{y:.1f}" r="3.6"/>'
    corners = {
        "square": ((-3.4, -3.4), (3.4, -3.4), (3.4, 3.4), (-3.4, 3.4)),
        "triangle": ((0, -4.4), (4.2, 3.4), (-4.2, 3.4)),
        "diamond": ((0, -4.8), (4.8, 0), (0, 4.8), (-4.8, 0)),
    }[shape]
    points = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)
    return f'<polygon class="{of} fill" points="{points}"/>'


def text(x, y, words, anchor="middle", of="text", more=""):
    return f'<text class="{of}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{words}</text>'


def curve(key, points):
    """A line with a marker at each point."""
    _, _, _, dashes, shape = SYSTEMS[key]
    of = "-".join(key)
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    line = f'<polyline class="{of} line" stroke-dasharray="{dashes}" points="{path}"/>'
    return [line] + [marker(shape, x, y, of) for x, y in points]


def panel(left, top, title, label, over, curves, ticks, shown, logarithmic=True):
    """One plot: `curves` has the points of each system, `ticks` the vertical axis, `shown` those with a number."""
    words, x_logarithmic = OVER[over]
    begin, end = left + LEFT, left + PANEL_WIDTH - RIGHT
    upper, lower = top + TOP, top + PANEL_HEIGHT - BOTTOM
    xs = sorted({x for points in curves.values() for x, _ in points})
    x_axis = Axis(xs[0], xs[-1], begin + 12, end - 12, x_logarithmic)
    y_axis = Axis(ticks[0], ticks[-1], lower, upper, logarithmic)
    out = [text((begin + end) / 2, top + 16, title, of="text title")]
    for tick in ticks:
        y = y_axis(tick)
        out.append(f'<line class="grid" x1="{begin}" x2="{end}" y1="{y:.1f}" y2="{y:.1f}"/>')
        if tick in shown:
            out.append(text(begin - 6, y + 4, number(tick), "end"))
    for x in xs:
        at = x_axis(x)
        out.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{upper}" y2="{lower}"/>')
        out.append(text(at, lower + 15, size(x) if over == "values" else number(x)))
    out.append(text((begin + end) / 2, lower + 32, words))
    middle = (upper + lower) / 2
    out.append(text(left + 14, middle, label, more=f'transform="rotate(-90 {left + 14} {middle})"'))
    for key, points in curves.items():
        out += curve(key, [(x_axis(x), y_axis(y)) for x, y in points])
    return out


def style():
    def colours(index):
        lines = (f".{'-'.join(key)}{{stroke:{of[index]};fill:{of[index]}}}" for key, of in SYSTEMS.items())
        return "\n".join(lines)

    return f"""<style>
.paper{{fill:#ffffff}} .grid{{stroke:#dfe3e8}} .text{{fill:#24292f;font:11px system-ui,sans-serif}}
{colours(1)}
@media (prefers-color-scheme: dark) {{
.paper{{fill:#0d1117}} .grid{{stroke:#2b323b}} .text{{fill:#dfe5ec}}
{colours(2)}
}}
.title{{font-size:12px;font-weight:600}} .line{{fill:none;stroke-width:2}} .fill{{stroke:none}}
</style>"""


def legend(keys, columns):
    """Systems, two in a line where there is room."""
    out, across = [], min(columns, 2)
    for index, key in enumerate(keys):
        x, y = 16 + index % across * PANEL_WIDTH, 18 + index // across * 20
        out += curve(key, [(x, y), (x + 30, y)])[:1]
        out.append(marker(SYSTEMS[key][4], x + 15, y, "-".join(key)))
        out.append(text(x + 38, y + 4, SYSTEMS[key][0], "start"))
    return out


def picture(title, keys, columns, rows, body):
    head = LEGEND if columns > 1 else 20 + 20 * len(keys)
    width, height = columns * PANEL_WIDTH, head + rows * PANEL_HEIGHT
    extent = f'width="{width}" height="{height}"'
    return "\n".join(
        [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {extent} role="img">']
        + [f"<title>{title}</title>", style(), f'<rect class="paper" {extent}/>']
        + legend(keys, columns)
        + [f'<g transform="translate(0 {head})">', *body, "</g>", "</svg>", ""]
    )


def systems_of(rows):
    """Those that were measured, in the order of the legend."""
    return [key for key in SYSTEMS if any((row["system"], row["durability"]) == key for row in rows)]


def curves_of(rows, measure):
    """The points of each system, where it was measured."""
    curves = {}
    for key in systems_of(rows):
        its = [row for row in rows if (row["system"], row["durability"]) == key and row[measure]]
        points = sorted({(float(row["x"]), float(row[measure])) for row in its})
        if points:
            curves[key] = points
    return curves


def load_of(row):
    """What was sent; in the order of the columns, SET is before GET."""
    return int(row["pipeline"]), row["operation"] != "SET", row["operation"]


def all_measures(over, rows):
    """A row for each measure, a column for each load."""
    loads = sorted({load_of(row) for row in rows})
    body = []
    for line, (measure, label) in enumerate(MEASURES.items()):
        # A machine that counts processor time in hundredths of a second may have counted none.
        positive = [row for row in rows if float(row[measure]) > 0]
        values = [float(row[measure]) for row in positive]
        ticks, shown = log_ticks(min(values), max(values))
        for column, load in enumerate(loads):
            its = [row for row in positive if load_of(row) == load]
            pipeline, _, operation = load
            title = operation if pipeline == 1 else f"{operation}, pipelines of {pipeline}"
            place = (column * PANEL_WIDTH, line * PANEL_HEIGHT)
            body += panel(*place, title, label, over, curves_of(its, measure), ticks, shown)
    title = f"Throughput, p99 and processor time over {OVER[over][0]}"
    return picture(title, systems_of(rows), len(loads), len(MEASURES), body)


def written(rows):
    curves = curves_of(rows, WRITTEN)
    most = max(y for points in curves.values() for _, y in points)
    ticks = list(range(0, max(3, math.ceil(most)) + 1))
    label = "bytes for each byte of log"
    body = panel(0, 0, "written to the disk", label, "keys", curves, ticks, ticks, logarithmic=False)
    return picture("Bytes written to the disk for each byte of log", list(curves), 1, 1, body)


def main():
    as_written = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_written)
    parser.add_argument("--csv", type=pathlib.Path, default=CURVES / "curves.csv", help="what was measured")
    parser.add_argument("--to", type=pathlib.Path, default=CURVES, help="where the pictures go")
    arguments = parser.parse_args()
    if not arguments.csv.exists():
        sys.exit(f"{arguments.csv} is missing: target/release/onecopy-bench curves --over all")
    with arguments.csv.open() as file:
        table = list(csv.DictReader(file))
    if not any(row["system"] == "redis" for row in table):
        print("Redis was not measured: only Onecopy's curves are drawn")
    for row in table:
        if int(row["errors"]):
            where = f"{row['system']}, {row['durability']}, over {row['over']} at {row['x']}"
            print(f"not counted: {row['errors']} errors of {where}")

    pictures = {}
    for over in OVER:
        rows = [row for row in table if row["over"] == over]
        if rows:
            pictures[over] = all_measures(over, rows)
        if any(row[WRITTEN] for row in rows):
            pictures["written"] = written(rows)
    arguments.to.mkdir(parents=True, exist_ok=True)
    for name, svg in pictures.items():
        file = arguments.to / f"{name}.svg"
        file.write_text(svg)
        print(file)


if __name__ == "__main__":
    main()
